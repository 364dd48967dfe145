package stockmachine

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"flashgate"
)

// Tables is a database made of maps: the model of every database, and itself one for
// tests of a gate alone. Its clock is the machine's.
type Tables struct {
	mu     sync.Mutex
	sales  map[flashgate.SaleID]*table
	dead   []flashgate.DeadLetter
	audits []flashgate.Audit
}

// table is one sale.
type table struct {
	flashgate.Sale
	orders map[flashgate.OrderID]*flashgate.Order
	byAge  []flashgate.OrderID
	taken  map[flashgate.UserID]int
	log    []flashgate.LogEntry
}

// NewTables returns an empty one.
func NewTables() *Tables { return &Tables{sales: map[flashgate.SaleID]*table{}} }

func instant() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

func tablesError(code flashgate.Code, text string) error {
	return flashgate.Errorf(code, "stockmachine.Tables", "%s", text)
}

// tell writes the next entry of the log.
func (tb *table) tell(cs ...flashgate.Change) {
	tb.Seq++
	tb.log = append(tb.log, flashgate.LogEntry{Sale: tb.ID, Epoch: tb.Epoch, Seq: tb.Seq, LeftAfter: tb.StockLeft,
		Changes: cs, Starts: tb.Starts, Ends: tb.Ends})
}

func changeOf(kind flashgate.ChangeKind, r flashgate.Reservation) flashgate.Change {
	return flashgate.Change{Kind: kind, Order: r.Order, User: r.User, Units: int64(r.Units)}
}

// Decide is the table of flashgate.Ledger.
func (ts *Tables) Decide(_ context.Context, sale flashgate.SaleID, rs []flashgate.Reservation, ttl time.Duration) ([]flashgate.Decision, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	tb := ts.sales[sale]
	if tb == nil {
		return nil, tablesError(flashgate.CodeNotFound, "no such sale")
	}
	return ts.decide(tb, rs, ttl), nil
}

func (ts *Tables) decide(tb *table, rs []flashgate.Reservation, ttl time.Duration) []flashgate.Decision {
	var changes []flashgate.Change
	out := make([]flashgate.Decision, len(rs))
	for i, r := range rs {
		var kind flashgate.ChangeKind
		if out[i], kind = ts.one(tb, r, ttl); kind != "" {
			changes = append(changes, changeOf(kind, r))
		}
	}
	if len(changes) > 0 {
		tb.tell(changes...)
	}
	return out
}

// one decides a reservation; kind is empty when no row was written.
func (ts *Tables) one(tb *table, r flashgate.Reservation, ttl time.Duration) (_ flashgate.Decision, kind flashgate.ChangeKind) {
	if o := tb.orders[r.Order]; o != nil {
		if o.User == r.User && o.Units == r.Units {
			return flashgate.Decision{Order: r.Order, Status: o.Status, Reason: o.Reason, Duplicate: true, Seq: o.Seq}, ""
		}
		ts.bury(r, flashgate.ReasonMismatch)
		return flashgate.Decision{Order: r.Order, Status: flashgate.StatusDeadLettered, Reason: flashgate.ReasonMismatch, DeadLettered: true}, ""
	}
	if i := ts.findDead(r.Order); i >= 0 {
		return flashgate.Decision{Order: r.Order, Status: flashgate.StatusDeadLettered, Reason: ts.dead[i].Reason, Duplicate: true, DeadLettered: true}, ""
	}
	switch {
	case tb.taken[r.User]+r.Units > tb.PerUser:
		return tb.row(r, flashgate.StatusRejected, flashgate.ReasonAlreadyBought, 0), flashgate.ChangeRejected
	case int64(r.Units) > tb.StockLeft:
		return tb.row(r, flashgate.StatusRejected, flashgate.ReasonSoldOut, 0), flashgate.ChangeRejected
	}
	tb.StockLeft -= int64(r.Units)
	tb.taken[r.User] += r.Units
	return tb.row(r, flashgate.StatusPending, "", ttl), flashgate.ChangePlaced
}

func (tb *table) row(r flashgate.Reservation, status flashgate.Status, reason string, ttl time.Duration) flashgate.Decision {
	at := instant()
	tb.orders[r.Order] = &flashgate.Order{ID: r.Order, Sale: tb.ID, User: r.User, Units: r.Units, Price: tb.FlashPrice,
		Status: status, Reason: reason, Seq: tb.Seq + 1, Created: at, Updated: at, Expires: at.Add(ttl)}
	tb.byAge = append(tb.byAge, r.Order)
	return flashgate.Decision{Order: r.Order, Status: status, Reason: reason, Seq: tb.Seq + 1}
}

func (ts *Tables) bury(r flashgate.Reservation, reason string) {
	record, err := json.Marshal(r)
	if err != nil {
		panic(err) // text and numbers
	}
	ts.keep(flashgate.DeadLetter{Order: r.Order, Sale: r.Order.Sale(), Record: record, Reason: reason, Detail: "see the reason"})
}

func (ts *Tables) keep(d flashgate.DeadLetter) {
	if ts.findDead(d.Order) < 0 {
		d.Created = instant()
		ts.dead = append(ts.dead, d)
	}
}

func (ts *Tables) findDead(id flashgate.OrderID) int {
	return slices.IndexFunc(ts.dead, func(d flashgate.DeadLetter) bool { return d.Order == id })
}

// DeadLetter keeps the first under an id.
func (ts *Tables) DeadLetter(_ context.Context, d flashgate.DeadLetter) error {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.keep(d)
	return nil
}

// Expire cancels those of a sale in one entry of its log.
func (ts *Tables) Expire(_ context.Context, max int) (n int, next time.Time, err error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	at := instant()
	for _, tb := range ts.sales {
		var changes []flashgate.Change
		for _, id := range tb.byAge {
			o := tb.orders[id]
			switch {
			case o.Status != flashgate.StatusPending:
			case o.Expires.After(at) || n == max:
				if next.IsZero() || o.Expires.Before(next) {
					next = o.Expires
				}
			default:
				changes = append(changes, tb.giveBack(o, flashgate.ReasonExpired))
				n++
			}
		}
		if len(changes) > 0 {
			tb.tell(changes...)
		}
	}
	return n, next, nil
}

// giveBack cancels a pending order; who calls it tells the log.
func (tb *table) giveBack(o *flashgate.Order, reason string) flashgate.Change {
	o.Status, o.Reason, o.Updated = flashgate.StatusCancelled, reason, instant()
	tb.StockLeft += int64(o.Units)
	tb.taken[o.User] -= o.Units
	return flashgate.Change{Kind: flashgate.ChangeCancelled, Order: o.ID, User: o.User, Units: int64(o.Units)}
}

// DeadLetters lists them.
func (ts *Tables) DeadLetters(_ context.Context, max int) ([]flashgate.DeadLetter, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return slices.Clone(ts.dead[:min(max, len(ts.dead))]), nil
}

// Replay decides one again.
func (ts *Tables) Replay(_ context.Context, id flashgate.OrderID, ttl time.Duration) (flashgate.Decision, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	i := ts.findDead(id)
	if i < 0 {
		return flashgate.Decision{}, tablesError(flashgate.CodeNotFound, "no such dead letter")
	}
	before := slices.Clone(ts.dead)
	r, ok := before[i].Reservation()
	tb := ts.sales[id.Sale()]
	if !ok || tb == nil {
		return flashgate.Decision{}, tablesError(flashgate.CodeWrongState, "it cannot be decided")
	}
	ts.dead = slices.Delete(ts.dead, i, i+1)
	d := ts.decide(tb, []flashgate.Reservation{r}, ttl)[0]
	if d.DeadLettered {
		ts.dead = before
		return flashgate.Decision{}, tablesError(flashgate.CodeWrongState, "it still cannot be decided")
	}
	return d, nil
}

// Drop makes a readable one a row, unless there is one.
func (ts *Tables) Drop(_ context.Context, id flashgate.OrderID) error {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	i := ts.findDead(id)
	if i < 0 {
		return tablesError(flashgate.CodeNotFound, "no such dead letter")
	}
	r, ok := ts.dead[i].Reservation()
	ts.dead = slices.Delete(ts.dead, i, i+1)
	if tb := ts.sales[id.Sale()]; ok && tb != nil && tb.orders[id] == nil {
		tb.row(r, flashgate.StatusRejected, flashgate.ReasonDropped, 0)
		tb.tell(changeOf(flashgate.ChangeRejected, r))
	}
	return nil
}

var (
	_ Database                 = (*Tables)(nil)
	_ flashgate.ChangeLog      = (*Tables)(nil)
	_ flashgate.Reconciliation = (*Tables)(nil)
)
