package conformance_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"flashgate"
)

// database is a model of a database that keeps a log for a gate elsewhere: Ledger,
// ChangeLog and FenceStore here, the shop's and the operators' ports beside it.
type database struct {
	mu     sync.Mutex
	sales  map[flashgate.SaleID]*flashgate.Sale
	orders map[flashgate.OrderID]flashgate.Order
	lag    map[flashgate.OrderID]flashgate.Order // a stale copy, for a planted bug
	taken  map[flashgate.SaleID]map[flashgate.UserID]int
	log    map[flashgate.SaleID][]flashgate.LogEntry
	dead   []flashgate.DeadLetter
	fences map[flashgate.SaleID]uint64 // recorded
	drawn  map[flashgate.SaleID]uint64
	audits []flashgate.Audit
	events []outgoing
	event  uint64 // number of the newest
}

func newDatabase() *database {
	return &database{sales: map[flashgate.SaleID]*flashgate.Sale{}, orders: map[flashgate.OrderID]flashgate.Order{},
		taken: map[flashgate.SaleID]map[flashgate.UserID]int{}, log: map[flashgate.SaleID][]flashgate.LogEntry{}, fences: map[flashgate.SaleID]uint64{}, drawn: map[flashgate.SaleID]uint64{}}
}

func dbNow() time.Time { return time.Now().Truncate(time.Millisecond) }

func changeOf(kind flashgate.ChangeKind, r flashgate.Reservation) flashgate.Change {
	return flashgate.Change{Kind: kind, Order: r.Order, User: r.User, Units: int64(r.Units)}
}

// tell writes the next entry of the sale's log.
func (db *database) tell(s *flashgate.Sale, cs ...flashgate.Change) {
	s.Seq++
	epoch := s.Epoch
	if planted("log: the epoch stays") {
		epoch = 1
	}
	e := flashgate.LogEntry{Sale: s.ID, Epoch: epoch, Seq: s.Seq, LeftAfter: s.StockLeft, Changes: cs}
	if len(cs) > 0 && cs[len(cs)-1].Kind == flashgate.ChangeWindow {
		e.Starts, e.Ends = s.Starts, s.Ends
	}
	if planted("log: what was left before") && len(cs) > 0 {
		e.LeftAfter += cs[0].Units
	}
	db.log[s.ID] = append(db.log[s.ID], e)
}

func (db *database) Decide(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation, ttl time.Duration) ([]flashgate.Decision, error) {
	if err := ctx.Err(); err != nil && !planted("decide: context ignored") {
		return nil, away("model.Decide", err)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.decide(sale, rs, ttl), nil
}

func (db *database) decide(sale flashgate.SaleID, rs []flashgate.Reservation, ttl time.Duration) []flashgate.Decision {
	db.lag = make(map[flashgate.OrderID]flashgate.Order, len(db.orders))
	if planted("order: reads lag behind") {
		for id, o := range db.orders {
			db.lag[id] = o
		}
	}
	b := &batch{database: db, sale: db.sales[sale], id: sale, ttl: ttl}
	if b.sale != nil {
		b.seq = b.sale.Seq + 1
	}
	out := make([]flashgate.Decision, len(rs))
	for i, r := range rs {
		out[i] = b.one(r)
		if out[i].DeadLettered && planted("decide: a bad one ends the batch") {
			for j := i + 1; j < len(rs); j++ {
				out[j] = b.bury(rs[j], flashgate.ReasonFailed)
			}
			break
		}
	}
	if len(b.changes) > 0 || len(rs) > 0 && b.sale != nil && planted("decide: seq without a row") {
		db.tell(b.sale, b.changes...)
	}
	return out
}

// batch is one call of Decide.
type batch struct {
	*database
	sale    *flashgate.Sale
	id      flashgate.SaleID
	seq     uint64
	ttl     time.Duration
	changes []flashgate.Change
}

func (b *batch) one(r flashgate.Reservation) flashgate.Decision {
	if o, ok := b.orders[r.Order]; ok && !planted("decide: no duplicate check") {
		if o.User == r.User && o.Units == r.Units && o.Sale == b.id || planted("decide: mismatch is a duplicate") {
			d := flashgate.Decision{Order: r.Order, Status: o.Status, Reason: o.Reason, Duplicate: true, Seq: o.Seq}
			if planted("decide: duplicate of this batch's seq") {
				d.Seq = b.seq
			}
			return d
		}
		return b.bury(r, flashgate.ReasonMismatch)
	}
	if i := b.findDead(r.Order); i >= 0 && !planted("decide: dead letters are forgotten") {
		return flashgate.Decision{Order: r.Order, Status: flashgate.StatusDeadLettered, Reason: b.dead[i].Reason, Duplicate: true, DeadLettered: true}
	}
	if err := r.Validate(); (err != nil || r.Order.Sale() != b.id) && !planted("decide: no validation") {
		return b.bury(r, flashgate.ReasonInvalid)
	}
	if b.sale == nil {
		if planted("decide: unknown sale is sold out") {
			return flashgate.Decision{Order: r.Order, Status: flashgate.StatusRejected, Reason: flashgate.ReasonSoldOut}
		}
		return b.bury(r, flashgate.ReasonNoSale)
	}
	taken, left := b.taken[b.id][r.User], b.sale.StockLeft
	yield(&b.mu, "decide: not atomic")
	if taken+r.Units > b.sale.PerUser && !planted("decide: no limit") {
		return b.write(r, flashgate.StatusRejected, flashgate.ReasonAlreadyBought)
	}
	if left < int64(r.Units) && !planted("decide: unconditional stock") {
		if planted("decide: rejection takes the share") {
			b.take(b.id, r.User, r.Units)
		}
		return b.write(r, flashgate.StatusRejected, flashgate.ReasonSoldOut)
	}
	b.sale.StockLeft -= int64(r.Units)
	b.take(b.id, r.User, r.Units)
	d := b.write(r, flashgate.StatusPending, "")
	if b.sale.StockLeft == 0 {
		b.happened(flashgate.EventSoldOut, flashgate.Order{Sale: b.id, Seq: b.seq})
	}
	return d
}

func (b *batch) write(r flashgate.Reservation, status flashgate.Status, reason string) flashgate.Decision {
	kind := flashgate.ChangePlaced
	o := flashgate.Order{ID: r.Order, Sale: b.id, User: r.User, Units: r.Units, Status: status, Reason: reason, Seq: b.seq, Created: dbNow(), Updated: dbNow()}
	o.Expires = o.Created.Add(b.ttl)
	if b.sale != nil {
		o.Price = b.sale.FlashPrice
	}
	if status == flashgate.StatusRejected {
		kind = flashgate.ChangeRejected
	}
	b.orders[r.Order] = o
	b.changes = append(b.changes, changeOf(kind, r))
	if status == flashgate.StatusRejected {
		b.happened(flashgate.EventRejected, o)
		if b.sale != nil && b.sale.StockLeft == 0 && planted("events: sold out again") {
			b.happened(flashgate.EventSoldOut, flashgate.Order{Sale: b.id, Seq: b.seq})
		}
	} else {
		b.happened(flashgate.EventPlaced, o)
	}
	if planted("decide: seq for each row") {
		b.tell(b.sale, b.changes...)
		b.changes, b.seq = nil, b.seq+1
	}
	return flashgate.Decision{Order: r.Order, Status: status, Reason: reason, Seq: o.Seq}
}

func (b *batch) bury(r flashgate.Reservation, reason string) flashgate.Decision {
	record, _ := json.Marshal(r)
	b.keep(flashgate.DeadLetter{Order: r.Order, Sale: b.id, Record: record, Reason: reason, Detail: "see the reason"})
	return flashgate.Decision{Order: r.Order, Status: flashgate.StatusDeadLettered, Reason: reason, DeadLettered: true}
}

func (db *database) take(sale flashgate.SaleID, user flashgate.UserID, units int) {
	if db.taken[sale] == nil {
		db.taken[sale] = map[flashgate.UserID]int{}
	}
	db.taken[sale][user] += units
}

func (db *database) findDead(id flashgate.OrderID) int {
	return slices.IndexFunc(db.dead, func(d flashgate.DeadLetter) bool { return d.Order == id })
}

func (db *database) keep(d flashgate.DeadLetter) {
	d.Created = dbNow()
	i := db.findDead(d.Order)
	switch {
	case i < 0:
		db.dead = append(db.dead, d)
	case planted("dead letter: replaced"):
		db.dead[i] = d
	}
}

func (db *database) DeadLetter(ctx context.Context, d flashgate.DeadLetter) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.keep(d)
	return nil
}

func (db *database) Expire(ctx context.Context, limit int) (n int, next time.Time, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for id, o := range db.orders {
		due := o.Status == flashgate.StatusPending || o.Status == flashgate.StatusPaid && planted("expire: paid orders too")
		if due && (!o.Expires.After(time.Now()) || planted("expire: too early")) && (n < limit || planted("expire: more than asked for")) {
			db.giveBack(id, flashgate.ReasonExpired)
			n++
		}
	}
	for _, o := range db.orders {
		if o.Status == flashgate.StatusPending && (next.IsZero() || o.Expires.Before(next)) && !planted("expire: next is not told") {
			next = o.Expires
		}
	}
	return n, next, nil
}

// giveBack cancels an order.
func (db *database) giveBack(id flashgate.OrderID, reason string) {
	o := db.orders[id]
	o.Status, o.Reason, o.Updated = flashgate.StatusCancelled, reason, dbNow()
	db.orders[id] = o
	s := db.sales[o.Sale]
	if reason != flashgate.ReasonExpired || !planted("events: an expiry is not told") {
		told := o
		told.Seq = s.Seq + 1
		db.happened(flashgate.EventCancelled, told)
	}
	if !(reason == flashgate.ReasonExpired && planted("expire: keeps the units")) {
		s.StockLeft += int64(o.Units)
	}
	if !planted("cancel: keeps the share") {
		db.take(o.Sale, o.User, -o.Units)
	}
	if planted("log: cancel is not told") {
		s.Seq++
		return
	}
	db.tell(s, changeOf(flashgate.ChangeCancelled, flashgate.Reservation{Order: o.ID, User: o.User, Units: o.Units}))
}

func (db *database) Entries(ctx context.Context, sale flashgate.SaleID, after uint64, limit int) ([]flashgate.LogEntry, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	var out []flashgate.LogEntry
	for _, e := range db.log[sale] {
		if e.Seq > after && len(out) < limit || e.Seq == after && planted("log: after is included") {
			out = append(out, e)
		}
	}
	return out, nil
}

func (db *database) DrawFence(_ context.Context, sale flashgate.SaleID) (uint64, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if _, ok := db.sales[sale]; !ok {
		return 0, notFound("model.DrawFence")
	}
	n := db.drawn[sale] + 1
	yield(&db.mu, "fence: drawn by two")
	db.drawn[sale] = n
	if planted("fence: drawn above what is recorded") {
		n = db.fences[sale] + 1
	}
	return n, nil
}

func (db *database) RecordFence(_ context.Context, sale flashgate.SaleID, fence uint64) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if _, ok := db.sales[sale]; !ok {
		return notFound("model.RecordFence")
	}
	if fence > db.drawn[sale] && !planted("fence: forged") {
		return flashgate.Invalid("model.RecordFence", "fence", "has not been drawn")
	}
	if fence > db.fences[sale] || planted("fence: lowered") {
		db.fences[sale] = fence
	}
	return nil
}

func (db *database) Fenced(ctx context.Context, sale flashgate.SaleID) (uint64, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.fences[sale], nil
}

var (
	_ flashgate.Ledger     = (*database)(nil)
	_ flashgate.ChangeLog  = (*database)(nil)
	_ flashgate.FenceStore = (*database)(nil)
)
