package conformance_test

import (
	"context"
	"slices"

	"flashgate"
)

func (db *database) RaiseEpoch(ctx context.Context, sale flashgate.SaleID, from uint64) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, away("model.RaiseEpoch", err)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	s := db.sales[sale]
	if s == nil {
		if planted("epoch: of an unknown sale is lost") {
			return false, nil
		}
		return false, notFound("model.RaiseEpoch")
	}
	epoch := s.Epoch
	yield(&db.mu, "epoch: not atomic")
	if epoch != from && !planted("epoch: raised from any") {
		return false, nil
	}
	s.Epoch = epoch + 1
	return true, nil
}

func (db *database) Snapshot(ctx context.Context, sale flashgate.SaleID) (out flashgate.Snapshot, err error) {
	if err := ctx.Err(); err != nil {
		return out, away("model.Snapshot", err)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	s := db.sales[sale]
	if s == nil {
		return out, notFound("model.Snapshot")
	}
	out.Sale = *s
	yield(&db.mu, "snapshot: not one moment")
	var rows []flashgate.Order
	for _, o := range db.orders {
		if o.Sale == sale {
			rows = append(rows, o)
		}
	}
	slices.SortFunc(rows, func(a, b flashgate.Order) int { return int(a.Seq) - int(b.Seq) })
	if planted("snapshot: newest first") {
		slices.Reverse(rows)
	}
	if len(rows) > 1000 && planted("snapshot: one page") {
		rows = rows[:1000]
	}
	for _, o := range rows {
		live := o.Status.Live() || planted("snapshot: every row is live")
		out.Orders = append(out.Orders, flashgate.SnapshotOrder{Order: o.ID, User: o.User, Units: o.Units, Live: live})
	}
	for _, d := range db.dead {
		if _, ok := readable(d); d.Sale == sale && (ok || planted("snapshot: unreadable dead letters too")) {
			out.Dead = append(out.Dead, d.Order)
		}
	}
	return out, nil
}

func (db *database) Audit(ctx context.Context, a flashgate.Audit) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if !planted("audit: the caller's clock") {
		a.At = dbNow()
	}
	db.audits = append(db.audits, a)
	return nil
}

func (db *database) Audits(ctx context.Context, sale flashgate.SaleID, limit int) ([]flashgate.Audit, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	var out []flashgate.Audit
	for _, a := range db.audits {
		if sale == "" || a.Sale == sale {
			out = append(out, a)
		}
	}
	if !planted("audits: oldest first") {
		slices.Reverse(out)
	}
	return out[:min(limit, len(out))], nil
}

// outgoing is an event that waits, or is being sent.
type outgoing struct {
	flashgate.Event
	sending bool
}

// happened writes an event; o.Seq is the sale's when it happened.
func (db *database) happened(kind flashgate.EventKind, o flashgate.Order) {
	db.event++
	db.events = append(db.events, outgoing{Event: flashgate.Event{ID: db.event, Kind: kind, Sale: o.Sale, Order: o.ID, User: o.User,
		Units: int64(o.Units), Seq: o.Seq, At: dbNow()}})
}

func (db *database) Deliver(ctx context.Context, limit int, send func(context.Context, []flashgate.Event) error) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, away("model.Deliver", err)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	var es []flashgate.Event
	for i, e := range db.events {
		if (len(es) < limit || planted("deliver: at most is ignored")) && (!e.sending || planted("deliver: what is being sent too")) {
			db.events[i].sending = true
			es = append(es, e.Event)
		}
	}
	if len(es) == 0 {
		return 0, nil
	}
	db.mu.Unlock()
	err := send(ctx, es)
	db.mu.Lock()
	given := func(e outgoing) bool {
		return slices.ContainsFunc(es, func(o flashgate.Event) bool { return o.ID == e.ID })
	}
	if err != nil && !planted("deliver: forgotten when send fails") {
		for i := range db.events {
			if given(db.events[i]) {
				db.events[i].sending = false
			}
		}
		return 0, err
	}
	db.events = slices.DeleteFunc(db.events, given)
	return len(es), err
}

var (
	_ flashgate.Reconciliation = (*database)(nil)
	_ flashgate.EventStore     = (*database)(nil)
)
