package conformance_test

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"flashgate"
)

func notFound(op string) error { return flashgate.Errorf(flashgate.CodeNotFound, op, "nothing there") }

func (db *database) Order(ctx context.Context, id flashgate.OrderID) (flashgate.Order, error) {
	if err := ctx.Err(); err != nil {
		return flashgate.Order{}, away("model.Order", err)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.order(id)
}

func (db *database) order(id flashgate.OrderID) (flashgate.Order, error) {
	o, ok := db.orders[id]
	if planted("order: reads lag behind") {
		o, ok = db.lag[id]
	}
	if ok {
		return o, nil
	}
	i := db.findDead(id)
	if i < 0 {
		return o, notFound("model.Order")
	}
	d := db.dead[i]
	o = flashgate.Order{ID: id, Sale: d.Sale, Status: flashgate.StatusDeadLettered, Reason: d.Reason, Created: d.Created}
	if r, ok := readable(d); ok {
		o.User, o.Units = r.User, r.Units
	}
	return o, nil
}

func readable(d flashgate.DeadLetter) (r flashgate.Reservation, ok bool) {
	return r, json.Unmarshal(d.Record, &r) == nil && r.Validate() == nil && r.Order == d.Order
}

func (db *database) Orders(ctx context.Context, ids []flashgate.OrderID) ([]flashgate.Order, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	var out []flashgate.Order
	for _, id := range ids {
		if o, err := db.order(id); err == nil {
			out = append(out, o)
		}
	}
	return out, nil
}

func (db *database) OrdersOf(ctx context.Context, user flashgate.UserID, limit int) ([]flashgate.Order, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	var out []flashgate.Order
	for _, o := range db.orders {
		if o.User == user {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b flashgate.Order) int { return b.Created.Compare(a.Created) })
	if planted("orders: oldest first") {
		slices.Reverse(out)
	}
	return out[:min(limit, len(out))], nil
}

func (db *database) own(ctx context.Context, id flashgate.OrderID, user flashgate.UserID) (flashgate.Order, error) {
	if err := ctx.Err(); err != nil {
		return flashgate.Order{}, away("model.Orders", err)
	}
	o, ok := db.orders[id]
	if !ok || o.User != user && !planted("orders: anybody's") {
		return o, notFound("model.Orders")
	}
	return o, nil
}

func (db *database) Pay(ctx context.Context, id flashgate.OrderID, user flashgate.UserID) (flashgate.Order, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	o, err := db.own(ctx, id, user)
	if err != nil || o.Status == flashgate.StatusPaid && !planted("pay: not idempotent") {
		if err == nil && planted("events: paid again") {
			db.happened(flashgate.EventPaid, o)
		}
		return o, err
	}
	late := !o.Expires.After(time.Now()) && !planted("pay: late")
	if o.Status != flashgate.StatusPending && !planted("pay: revives") || late && o.Status == flashgate.StatusPending {
		return o, flashgate.Errorf(flashgate.CodeWrongState, "model.Pay", "too late")
	}
	o.Status, o.Reason = flashgate.StatusPaid, ""
	db.orders[id] = o
	told := o
	told.Seq = db.sales[o.Sale].Seq
	db.happened(flashgate.EventPaid, told)
	return o, nil
}

func (db *database) Cancel(ctx context.Context, id flashgate.OrderID, user flashgate.UserID) (flashgate.Order, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	o, err := db.own(ctx, id, user)
	yield(&db.mu, "cancel: not atomic")
	if err != nil || o.Status == flashgate.StatusCancelled && !planted("cancel: gives back twice") {
		return o, err
	}
	if o.Status == flashgate.StatusRejected || o.Status == flashgate.StatusPaid && !planted("cancel: paid orders too") {
		return o, flashgate.Errorf(flashgate.CodeWrongState, "model.Cancel", "too late")
	}
	db.giveBack(id, flashgate.ReasonUser)
	return db.orders[id], nil
}

func (db *database) CreateSale(ctx context.Context, s flashgate.Sale) error {
	if err := s.Validate(); err != nil && !planted("create: no validation") {
		return err
	}
	if err := ctx.Err(); err != nil {
		return away("model.CreateSale", err)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.sales[s.ID] != nil && !planted("create: replaces") {
		return flashgate.Invalid("model.CreateSale", "id", "is there already")
	}
	if !planted("create: believes the caller") {
		s.StockLeft, s.Seq, s.Epoch = s.Seeded, 0, 1
	}
	db.sales[s.ID] = &s
	return nil
}

func (db *database) Sale(ctx context.Context, id flashgate.SaleID) (flashgate.Sale, error) {
	if err := ctx.Err(); err != nil {
		return flashgate.Sale{}, away("model.Sale", err)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if s := db.sales[id]; s != nil {
		return *s, nil
	}
	return flashgate.Sale{}, notFound("model.Sale")
}

func (db *database) Sales(ctx context.Context) ([]flashgate.Sale, error) {
	if err := ctx.Err(); err != nil {
		return nil, away("model.Sales", err)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	var out []flashgate.Sale
	for _, s := range db.sales {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b flashgate.Sale) int { return cmp.Compare(a.ID, b.ID) })
	if planted("sales: not by id") {
		slices.Reverse(out)
	}
	return out, nil
}

func (db *database) ChangeSale(ctx context.Context, id flashgate.SaleID, c flashgate.SaleChange) (flashgate.Sale, error) {
	const op = "model.ChangeSale"
	if err := c.Validate(); err != nil {
		return flashgate.Sale{}, err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	s := db.sales[id]
	if s == nil {
		return flashgate.Sale{}, notFound(op)
	}
	restock := func() {
		if c.Restock > 0 {
			s.Seeded += c.Restock
			if !planted("restock: seeded alone") {
				s.StockLeft += c.Restock
			}
			db.tell(s, flashgate.Change{Kind: flashgate.ChangeRestock, Units: c.Restock})
			if !planted("events: a restock is not told") {
				db.happened(flashgate.EventRestocked, flashgate.Order{Sale: id, Units: int(c.Restock), Seq: s.Seq})
			}
		}
	}
	if planted("change: restocked before it is refused") {
		restock()
	}
	starts, ends := s.Starts, s.Ends
	if c.Starts != nil {
		starts = *c.Starts
	}
	if c.Ends != nil {
		ends = *c.Ends
	}
	if now := dbNow(); c.Close && now.Before(ends) && !planted("close: does nothing") {
		ends = now
		if !starts.Before(ends) {
			starts = ends.Add(-time.Millisecond)
		}
	}
	if !starts.Before(ends) {
		return flashgate.Sale{}, flashgate.Invalid(op, "ends_at", "must be later than starts_at")
	}
	if !starts.Equal(s.Starts) || !ends.Equal(s.Ends) {
		s.Starts, s.Ends = starts, ends
		db.tell(s, flashgate.Change{Kind: flashgate.ChangeWindow})
	}
	if !planted("change: restocked before it is refused") {
		restock()
	}
	return *s, nil
}

func (db *database) DeadLetters(ctx context.Context, limit int) ([]flashgate.DeadLetter, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	out := slices.Clone(db.dead)
	if planted("dead letters: newest first") {
		slices.Reverse(out)
	}
	return out[:min(limit, len(out))], nil
}

func (db *database) Replay(ctx context.Context, id flashgate.OrderID, ttl time.Duration) (flashgate.Decision, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	i := db.findDead(id)
	if i < 0 {
		return flashgate.Decision{}, notFound("model.Replay")
	}
	d, wrong := db.dead[i], flashgate.Errorf(flashgate.CodeWrongState, "model.Replay", "cannot be decided")
	r, ok := readable(d)
	if !ok {
		return flashgate.Decision{}, wrong
	}
	yield(&db.mu, "replay: not atomic")
	if i = db.findDead(id); i >= 0 {
		db.dead = slices.Delete(db.dead, i, i+1)
	}
	out := db.decide(r.Order.Sale(), []flashgate.Reservation{r}, ttl)[0]
	if out.DeadLettered {
		if j := db.findDead(id); j >= 0 {
			db.dead = slices.Delete(db.dead, j, j+1)
		}
		if !planted("replay: loses what it cannot decide") {
			db.dead = slices.Insert(db.dead, i, d)
		}
		return flashgate.Decision{}, wrong
	}
	if planted("replay: keeps the dead letter") {
		db.dead = append(db.dead, d)
	}
	return out, nil
}

func (db *database) Drop(ctx context.Context, id flashgate.OrderID) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	i := db.findDead(id)
	if i < 0 {
		if planted("drop: unknown is no error") {
			return nil
		}
		return notFound("model.Drop")
	}
	d := db.dead[i]
	db.dead = slices.Delete(db.dead, i, i+1)
	r, ok := readable(d)
	if _, row := db.orders[id]; !ok || planted("drop: no row") || row && !planted("drop: replaces the row") {
		return nil
	}
	b := &batch{database: db, sale: db.sales[r.Order.Sale()], id: r.Order.Sale()}
	if b.sale == nil {
		b.write(r, flashgate.StatusRejected, flashgate.ReasonDropped)
		return nil
	}
	b.seq = b.sale.Seq + 1
	b.write(r, flashgate.StatusRejected, flashgate.ReasonDropped)
	if planted("log: drop is not told") {
		b.sale.Seq++
		return nil
	}
	db.tell(b.sale, b.changes...)
	return nil
}

var (
	_ flashgate.OrderStore      = (*database)(nil)
	_ flashgate.SaleStore       = (*database)(nil)
	_ flashgate.DeadLetterStore = (*database)(nil)
)
