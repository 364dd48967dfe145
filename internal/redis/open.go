package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"time"

	"flashgate"
)

var (
	incarnationScript = mustScript("head", "incarnation")
	beginScript       = mustScript("head", "begin")
	openScript        = mustScript("head", "open")
)

// openLife is how long an opening may take. What was given up vanishes after it.
const openLife = 10 * time.Minute

// Incarnation asks the server that holds the sale.
func (s *Store) Incarnation(ctx context.Context, sale flashgate.SaleID) (string, error) {
	const op = "redis.Incarnation"
	reply, err := s.verb(ctx, op, incarnationScript, sale)
	if err != nil {
		return "", err
	}
	text, ok := reply.(string)
	if !ok {
		return "", unexpected(op, reply)
	}
	return text, nil
}

// Open opens the gate in three steps, of which no command takes long, however much
// there is: it begins, which is refused unless the sale is closed, so held stays as it
// is; it stages the next state in keys of its own; and one script puts that in its
// place. Of two openings in one epoch the one that began last may finish. The last step
// knows its own repetition, so a lost reply does not turn a success into
// CodeWrongState. A Bound below one means flashgate.DefaultBound.
func (s *Store) Open(ctx context.Context, incarnation string, snapshot flashgate.Snapshot) (flashgate.Opened, error) {
	const op = "redis.Open"
	sale := snapshot.Sale
	if _, err := flashgate.ParseSaleID(string(sale.ID)); err != nil {
		return flashgate.Opened{}, err
	}
	if snapshot.Bound < 1 {
		snapshot.Bound = flashgate.DefaultBound
	}
	o := s.newOpening(op, incarnation, snapshot)
	opened, err := o.run(ctx)
	if err != nil {
		// It would vanish by itself; when the opening was done after all, it is gone.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Timeout)
		defer cancel()
		_ = s.client.Unlink(ctx, o.buyers, o.held, o.outbox).Err()
	}
	return opened, unavailable(op, err)
}

// opening is one call of Open.
type opening struct {
	*Store
	op                   string
	incarnation, token   string
	snapshot             flashgate.Snapshot
	mark                 string // key that says which opening has begun last
	buyers, held, outbox string // keys of what is staged
}

func (s *Store) newOpening(op, incarnation string, snapshot flashgate.Snapshot) *opening {
	sale := snapshot.Sale.ID
	token := rand.Text()
	staged := "staged:" + token + ":"
	return &opening{
		Store: s, op: op, incarnation: incarnation, token: token, snapshot: snapshot, mark: saleKey(sale, "opening"),
		buyers: saleKey(sale, staged+"buyers"), held: saleKey(sale, staged+"held"), outbox: saleKey(sale, staged+"outbox"),
	}
}

func (o *opening) run(ctx context.Context) (flashgate.Opened, error) {
	now, err := o.begin(ctx)
	if err != nil {
		return flashgate.Opened{}, err
	}
	survivors, err := o.survivors(ctx)
	if err != nil {
		return flashgate.Opened{}, err
	}
	next := nextState(o.snapshot, survivors, now)
	if err := o.stage(ctx, next); err != nil {
		return flashgate.Opened{}, err
	}
	return o.finish(ctx, next)
}

// begin returns the server's time in microseconds.
func (o *opening) begin(ctx context.Context) (now int64, err error) {
	keys := append(saleKeys(o.snapshot.Sale.ID), o.mark)
	reply, err := answer(o.op, beginScript.run(ctx, o.client, keys, o.incarnation, o.snapshot.Sale.Epoch, o.token, openLife.Milliseconds(), o.freed.channel))
	if err != nil {
		return 0, err
	}
	if reply == "refused" {
		return 0, refused(o.op)
	}
	text, _ := reply.(string)
	if now, err = strconv.ParseInt(text, 10, 64); err != nil {
		return 0, unexpected(o.op, reply)
	}
	return now, nil
}

// finish puts what is staged in its place.
func (o *opening) finish(ctx context.Context, next *state) (flashgate.Opened, error) {
	sale := o.snapshot.Sale
	opened := flashgate.Opened{Free: sale.StockLeft - next.units, Held: next.units, Requeued: len(next.outbox)}
	reply, err := answer(o.op, openScript.run(ctx, o.client, append(saleKeys(sale.ID), o.mark, o.buyers, o.held, o.outbox),
		o.incarnation, sale.Epoch, o.token, len(o.snapshot.Orders)+len(next.shares), len(next.held), len(next.outbox),
		opened.Free, opened.Held, sale.Seq, sale.Starts.UnixMilli(), sale.Ends.UnixMilli(), sale.PerUser, o.snapshot.Bound, o.freed.channel))
	switch {
	case err != nil:
		return flashgate.Opened{}, err
	case reply == "opened":
		return opened, nil
	case reply == "refused":
		return flashgate.Opened{}, refused(o.op)
	case reply == "lost":
		return flashgate.Opened{}, errors.New("what was staged has vanished")
	}
	return flashgate.Opened{}, unexpected(o.op, reply)
}

func refused(op string) error {
	return flashgate.Errorf(flashgate.CodeWrongState, op,
		"The gate is open, or was in this epoch or a later one, its server is in another incarnation, or another opening has begun.")
}

var _ flashgate.Opener = (*Store)(nil)
