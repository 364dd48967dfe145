package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"flashgate"
)

var (
	incarnationScript = mustScript("head", "incarnation")
	openScript        = mustScript("head", "open")
)

const (
	stagedOrders   = 500              // orders of one command
	stagedTogether = 20               // commands of one round trip
	stagedLife     = 10 * time.Minute // of a staging key after the last command
)

// Incarnation asks the server that holds the sale.
func (s *Store) Incarnation(ctx context.Context, sale flashgate.SaleID) (string, error) {
	incarnation, _, err := s.life(ctx, "redis.Incarnation", sale)
	return incarnation, err
}

// life reads the incarnation of the server and the epoch of the head, zero without one.
func (s *Store) life(ctx context.Context, op string, sale flashgate.SaleID) (incarnation string, epoch uint64, err error) {
	reply, err := s.verb(ctx, op, incarnationScript, sale)
	if err != nil {
		return "", 0, err
	}
	texts, err := list(op, reply)
	if err != nil {
		return "", 0, err
	}
	if len(texts) != 2 {
		return "", 0, unexpected(op, reply)
	}
	if epoch, err = strconv.ParseUint(texts[1], 10, 64); err != nil {
		return "", 0, unexpected(op, reply)
	}
	return texts[0], epoch, nil
}

// Open stages what the database knows, in many small commands, and then opens the gate
// by one script. That one takes about a microsecond for each reservation that survived
// in held; it knows its own repetition, so a lost reply does not turn a success into
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
	// What would be refused in the end is not worth staging.
	now, epoch, err := s.life(ctx, op, sale.ID)
	if err != nil {
		return flashgate.Opened{}, err
	}
	if now != incarnation || epoch >= sale.Epoch {
		return flashgate.Opened{}, refused(op)
	}
	// The token keeps two openings apart that have the same epoch.
	token := rand.Text()
	staged := saleKey(sale.ID, fmt.Sprintf("staged:%d:%s", sale.Epoch, token))
	fields, err := s.stage(ctx, staged, snapshot.Orders)
	if err == nil {
		var opened flashgate.Opened
		if opened, err = s.open(ctx, op, incarnation, token, staged, fields, snapshot); err == nil {
			return opened, nil
		}
	}
	// It would vanish by itself; when the opening was done after all, it is gone.
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Timeout)
	defer cancel()
	_ = s.client.Unlink(cleanup, staged).Err()
	return flashgate.Opened{}, unavailable(op, err)
}

// stage writes the next buyers and returns how many fields they have.
func (s *Store) stage(ctx context.Context, key string, rows []flashgate.SnapshotOrder) (fields int, err error) {
	type share struct {
		units int
		last  flashgate.OrderID
	}
	shares := map[flashgate.UserID]share{}
	var pairs []any
	flush := func(least int) {
		if err == nil && len(pairs) >= least {
			err = s.stageSome(ctx, key, pairs)
			pairs = pairs[:0]
		}
	}
	for _, row := range rows {
		pairs = append(pairs, "o:"+string(row.Order), strconv.Itoa(row.Units)+" "+string(row.User))
		if row.Live {
			shares[row.User] = share{shares[row.User].units + row.Units, row.Order}
		}
		flush(2 * stagedOrders * stagedTogether)
	}
	for user, share := range shares {
		pairs = append(pairs, "u:"+string(user), strconv.Itoa(share.units)+" "+string(share.last))
		flush(2 * stagedOrders * stagedTogether)
	}
	flush(1)
	return len(rows) + len(shares), err
}

// stageSome writes pairs in one round trip. The key always has an end of life.
func (s *Store) stageSome(ctx context.Context, key string, pairs []any) error {
	p := s.client.Pipeline()
	for len(pairs) > 0 {
		n := min(len(pairs), 2*stagedOrders)
		p.HSet(ctx, key, pairs[:n]...)
		p.PExpire(ctx, key, stagedLife)
		pairs = pairs[n:]
	}
	_, err := p.Exec(ctx)
	return err
}

func (s *Store) open(ctx context.Context, op, incarnation, token, staged string, fields int, snapshot flashgate.Snapshot) (opened flashgate.Opened, err error) {
	sale := snapshot.Sale
	args := orders(snapshot.Dead, incarnation, sale.Epoch, token, sale.StockLeft, sale.Seq, sale.Starts.UnixMilli(), sale.Ends.UnixMilli(),
		sale.PerUser, snapshot.Bound, fields)
	reply, err := answer(op, openScript.run(ctx, s.client, append(saleKeys(sale.ID), staged), args...))
	switch {
	case err != nil:
		return opened, err
	case reply == "refused":
		return opened, refused(op)
	case reply == "lost":
		return opened, errors.New("what was staged has vanished")
	}
	texts, err := list(op, reply)
	if err != nil {
		return opened, err
	}
	var requeued int64
	err = numbers(op, texts, &opened.Free, &opened.Held, &requeued)
	opened.Requeued = int(requeued)
	return opened, err
}

func refused(op string) error {
	return flashgate.Errorf(flashgate.CodeWrongState, op, "The gate is open in this epoch or a later one, or its server is in another incarnation.")
}

var _ flashgate.Opener = (*Store)(nil)
