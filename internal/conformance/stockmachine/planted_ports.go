package stockmachine

import (
	"context"
	"slices"
	"strings"
	"time"

	"flashgate"
)

// wrappedStock is a gate whose Reserve and View may be bent.
type wrappedStock struct {
	flashgate.Stock
	system System
	seen   map[flashgate.OrderID]bool
	last   *flashgate.StockView

	ask    func(flashgate.Reservation) flashgate.Reservation
	answer func(*flashgate.Reserved)
	after  func(context.Context, flashgate.SaleID, []flashgate.Reservation, []flashgate.Reserved) error
	stale  bool
}

func onStock(bend func(*wrappedStock)) func(System) System {
	return func(s System) System {
		w := &wrappedStock{Stock: s.Stock, system: s, seen: map[flashgate.OrderID]bool{}}
		bend(w)
		s.Stock = w
		return s
	}
}

func (w *wrappedStock) Reserve(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
	asked := slices.Clone(rs)
	for i := range asked {
		if w.ask != nil {
			asked[i] = w.ask(asked[i])
		}
	}
	out, err := w.Stock.Reserve(ctx, sale, asked)
	if err != nil {
		return nil, err
	}
	for i := range out {
		if w.answer != nil {
			w.answer(&out[i])
		}
	}
	if w.after != nil {
		err = w.after(ctx, sale, asked, out)
	}
	return out, err
}

func (w *wrappedStock) View(ctx context.Context, sale flashgate.SaleID) (flashgate.StockView, error) {
	v, err := w.Stock.View(ctx, sale)
	if err == nil && w.stale {
		if w.last != nil {
			v, *w.last = *w.last, v
		} else {
			kept := v
			w.last = &kept
		}
	}
	return v, err
}

// anotherID asks under an id of its own when an id comes again.
func (w *wrappedStock) anotherID(r flashgate.Reservation) flashgate.Reservation {
	if w.seen[r.Order] {
		_, r.Order = keys().Mint(flashgate.Claim{Sale: string(r.Order.Sale()), User: string(r.User)}, time.Now().Add(unpaid))
	}
	w.seen[r.Order] = true
	return r
}

// anotherUser asks for somebody who has nothing yet, the same one for the same id.
func anotherUser(r flashgate.Reservation) flashgate.Reservation {
	r.User = flashgate.UserID(strings.TrimLeft(string(r.Order[len(r.Order)-20:]), "-_."))
	return r
}

func closedIsSoldOut(o *flashgate.Reserved) {
	if o.Outcome == flashgate.OutcomeClosed {
		o.Outcome = flashgate.OutcomeSoldOut
	}
}

// publishAtOnce is what a gate without an outbox would have of it.
func (w *wrappedStock) publishAtOnce(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation, out []flashgate.Reserved) error {
	var ids []flashgate.OrderID
	for i, r := range rs {
		if out[i].Outcome == flashgate.OutcomePublish {
			ids = append(ids, r.Order)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return w.system.Apart.Published(ctx, sale, ids)
}

// bent makes a copy of a system's parts, to be bent.
func bent(s System, bend func(*Apart)) System {
	a := *s.Apart
	bend(&a)
	s.Apart = &a
	return s
}

type applier struct {
	flashgate.Applier
	stock flashgate.Stock
	bend  func(applied uint64, es []flashgate.LogEntry)
}

func (a applier) Apply(ctx context.Context, sale flashgate.SaleID, es []flashgate.LogEntry) (uint64, error) {
	v, err := a.stock.View(ctx, sale)
	if err == nil {
		es = slices.Clone(es)
		a.bend(v.Applied, es)
	}
	return a.Applier.Apply(ctx, sale, es)
}

func onApply(bend func(applied uint64, es []flashgate.LogEntry)) func(System) System {
	return func(s System) System {
		return bent(s, func(a *Apart) { a.Applier = applier{a.Applier, s.Stock, bend} })
	}
}

// renumbered makes every entry the next one.
func renumbered(applied uint64, es []flashgate.LogEntry) {
	for i := range es {
		es[i].Seq = applied + uint64(i) + 1
	}
}

// shareKept makes a restock of a cancel.
func shareKept(_ uint64, es []flashgate.LogEntry) {
	for i := range es {
		es[i].Changes = slices.Clone(es[i].Changes)
		for j, c := range es[i].Changes {
			if c.Kind == flashgate.ChangeCancelled {
				es[i].Changes[j] = flashgate.Change{Kind: flashgate.ChangeRestock, Units: c.Units}
			}
		}
	}
}

type settler struct {
	flashgate.Applier
	settle func(ctx context.Context, sale flashgate.SaleID, seq uint64, ids []flashgate.OrderID) error
}

func (s settler) Settle(ctx context.Context, sale flashgate.SaleID, seq uint64, ids []flashgate.OrderID) error {
	return s.settle(ctx, sale, seq, ids)
}

// rejectedForgotten takes what was not held out of the log.
func rejectedForgotten(s System) System {
	return onApply(func(_ uint64, es []flashgate.LogEntry) {
		for i := range es {
			es[i].Changes = slices.DeleteFunc(slices.Clone(es[i].Changes), func(c flashgate.Change) bool {
				_, held, err := s.Stock.Held(context.Background(), c.Order)
				return c.Kind == flashgate.ChangeRejected && err == nil && !held
			})
		}
	})(s)
}

func settleEarly(s System) System {
	return bent(s, func(a *Apart) {
		real := a.Applier
		a.Applier = settler{real, func(ctx context.Context, sale flashgate.SaleID, seq uint64, ids []flashgate.OrderID) error {
			if v, err := s.Stock.View(ctx, sale); err == nil {
				seq = min(seq, max(v.Applied, 1))
			}
			return real.Settle(ctx, sale, seq, ids)
		}}
	})
}

// steady is a server whose incarnation stays.
type steady struct{ Faults }

func (steady) Renew(context.Context) error { return nil }

func sameIncarnation(s System) System {
	return bent(s, func(a *Apart) { a.Faults = steady{a.Faults} })
}

type opener struct {
	flashgate.Opener
	bend func(ctx context.Context, o flashgate.Opener, incarnation *string, s *flashgate.Snapshot) error
}

func (o opener) Open(ctx context.Context, incarnation string, s flashgate.Snapshot) (flashgate.Opened, error) {
	if err := o.bend(ctx, o.Opener, &incarnation, &s); err != nil {
		return flashgate.Opened{}, err
	}
	return o.Opener.Open(ctx, incarnation, s)
}

func onOpen(bend func(ctx context.Context, o flashgate.Opener, incarnation *string, s *flashgate.Snapshot) error) func(System) System {
	return func(s System) System {
		return bent(s, func(a *Apart) { a.Opener = opener{a.Opener, bend} })
	}
}

func anyIncarnation(ctx context.Context, o flashgate.Opener, incarnation *string, s *flashgate.Snapshot) (err error) {
	*incarnation, err = o.Incarnation(ctx, s.Sale.ID)
	return err
}

func liveAlone(_ context.Context, _ flashgate.Opener, _ *string, s *flashgate.Snapshot) error {
	s.Orders = slices.DeleteFunc(slices.Clone(s.Orders), func(o flashgate.SnapshotOrder) bool { return !o.Live })
	return nil
}

func noDead(_ context.Context, _ flashgate.Opener, _ *string, s *flashgate.Snapshot) error {
	s.Dead = nil
	return nil
}
