package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"flashgate"

	goredis "github.com/redis/go-redis/v9"
)

var (
	reserveScript = mustScript("head", "reserve")
	viewScript    = mustScript("head", "view")
)

// outcomes are the letters of lua/reserve.lua.
var outcomes = map[byte]flashgate.Outcome{
	'A': flashgate.OutcomeAccepted,
	'P': flashgate.OutcomePublish,
	'S': flashgate.OutcomeSoldOut,
	'B': flashgate.OutcomeAlreadyBought,
	'N': flashgate.OutcomeNotStarted,
	'E': flashgate.OutcomeEnded,
	'Y': flashgate.OutcomeBusy,
	'X': flashgate.OutcomeConflict,
}

// ErrNotReserved is in the chain of an error of Reserve that leaves nothing reserved: no
// connection could be made, or the server refused the script as a whole. Any other
// error but CodeInvalid means that nothing is known.
var ErrNotReserved = errors.New("nothing was reserved")

// Reserve decides the batch by one script, however large it is. An accepted one is
// in the outbox, so it never answers OutcomeAccepted for a new one. OutcomeUnset is
// the answer where a connection broke and the second try refused: the first may still
// be granted.
func (s *Store) Reserve(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
	return s.ReserveAfter(ctx, sale, nil, rs)
}

// ReserveAfter is Published and Reserve in one script. What is said of Reserve holds.
func (s *Store) ReserveAfter(ctx context.Context, sale flashgate.SaleID, published []flashgate.OrderID, rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
	const op = "redis.Reserve"
	for _, r := range rs {
		if err := r.Validate(); err != nil {
			return nil, err
		}
		if r.Order.Sale() != sale {
			return nil, flashgate.Invalid(op, "sale", "order %s is not of sale %s", r.Order, sale)
		}
	}
	if len(rs) == 0 {
		return nil, s.publishedIfAny(ctx, sale, published)
	}
	args := orders(published, make([]any, 1, 1+len(published)+4*len(rs))...)
	args[0] = len(published)
	for _, r := range rs {
		args = append(args, string(r.Order), string(r.User), r.Units, r.At)
	}
	reply, again, err := s.reserve(ctx, sale, args)
	if err != nil {
		return nil, unavailable(op, err)
	}
	if reply == replyClosed {
		out := make([]flashgate.Reserved, len(rs))
		for i := range out {
			out[i].Outcome = flashgate.OutcomeClosed
		}
		return out, nil
	}
	out, err := readReserved(op, len(rs), reply)
	if err == nil && again {
		afterBroken(out)
	}
	return out, err
}

// reserve sends the batch, and once more after a connection broke: the ids that were
// held are recognised, and a connection that was closed while it was idle costs
// nobody an answer. What the second try then says about the server may be true only of
// the second: neither that it could not be sent nor that the sale is closed, by a
// restart in between, means that the first has reserved nothing. go-redis, which would
// repeat as well, hides that there was a first.
func (s *Store) reserve(ctx context.Context, sale flashgate.SaleID, args []any) (reply any, again bool, err error) {
	send := func() (any, error) {
		return reserveScript.run(ctx, onceScripter{s.client}, saleKeys(sale), args...).Result()
	}
	reply, first := send()
	switch {
	case first == nil:
		return reply, false, nil
	case notReserved(first):
		return nil, false, errors.Join(ErrNotReserved, first)
	case !broken(first):
		return nil, false, first
	}
	reply, second := send()
	if second == nil && reply != replyClosed {
		return reply, true, nil
	}
	return nil, true, fmt.Errorf("%w, and then %v", first, second) // not %w: it would look like the only try
}

// afterBroken keeps of a second try's answers what is true of both tries. A refusal is
// not: the first try may still be on its way to the server, and be granted there.
func afterBroken(out []flashgate.Reserved) {
	for i, o := range out {
		switch o.Outcome {
		case flashgate.OutcomeAccepted, flashgate.OutcomePublish, flashgate.OutcomeConflict:
		default:
			out[i] = flashgate.Reserved{}
		}
	}
}

// refusals are what a server says that refused a script before its first write.
var refusals = []string{"LOADING", "READONLY", "NOREPLICAS", "MISCONF", "OOM", "CLUSTERDOWN", "MASTERDOWN", "NOAUTH", "NOPERM", "WRONGPASS"}

func notReserved(err error) bool {
	for _, prefix := range refusals {
		if goredis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial" || goredis.IsMaxClientsError(err)
}

// broken reports whether a connection was lost, as opposed to a time-out.
func broken(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op != "dial" && !op.Timeout() || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func readReserved(op string, n int, reply any) ([]flashgate.Reserved, error) {
	texts, err := list(op, reply)
	if err != nil {
		return nil, err
	}
	if len(texts) < 5 || len(texts[4]) != n {
		return nil, unexpected(op, reply)
	}
	var epoch, applied, opensIn, endsIn int64
	if err := numbers(op, texts[:4], &epoch, &applied, &opensIn, &endsIn); err != nil {
		return nil, err
	}
	letters, priors := texts[4], texts[5:]
	out := make([]flashgate.Reserved, n)
	for i := range out {
		outcome, ok := outcomes[letters[i]]
		out[i] = flashgate.Reserved{Outcome: outcome, Epoch: uint64(epoch), Applied: uint64(applied)}
		switch {
		case !ok, outcome == flashgate.OutcomeAlreadyBought && len(priors) == 0:
			return nil, unexpected(op, reply)
		case outcome == flashgate.OutcomeSoldOut:
			out[i].EndsIn = time.Duration(endsIn) * time.Millisecond
		case outcome == flashgate.OutcomeNotStarted:
			out[i].OpensIn = time.Duration(opensIn) * time.Millisecond
		case outcome == flashgate.OutcomeAlreadyBought:
			out[i].Prior, priors = flashgate.OrderID(priors[0]), priors[1:]
		}
	}
	return out, nil
}

// View reads the head.
func (s *Store) View(ctx context.Context, sale flashgate.SaleID) (flashgate.StockView, error) {
	const op = "redis.View"
	reply, err := s.verb(ctx, op, viewScript, sale)
	if err != nil {
		return flashgate.StockView{}, err
	}
	if reply == "none" {
		return flashgate.StockView{}, flashgate.Errorf(flashgate.CodeNotFound, op, "The gate does not have this sale.")
	}
	texts, err := list(op, reply)
	if err != nil {
		return flashgate.StockView{}, err
	}
	var open, now, epoch, applied, free, held, starts, ends, limit int64
	if err := numbers(op, texts, &open, &now, &epoch, &applied, &free, &held, &starts, &ends, &limit); err != nil {
		return flashgate.StockView{}, err
	}
	return flashgate.StockView{
		Epoch: uint64(epoch), Applied: uint64(applied), Free: free, Held: held,
		Starts: time.UnixMilli(starts), Ends: time.UnixMilli(ends), PerUser: int(limit), Open: open == 1, Now: time.UnixMilli(now),
	}, nil
}

// Held reads one reservation that is not decided, also of a sale that is closed: what
// survived there may still become an order.
func (s *Store) Held(ctx context.Context, id flashgate.OrderID) (flashgate.Reservation, bool, error) {
	const op = "redis.Held"
	sale := id.Sale()
	if sale == "" {
		return flashgate.Reservation{}, false, nil
	}
	text, err := s.client.HGet(ctx, saleKey(sale, "held"), string(id)).Result()
	if errors.Is(err, goredis.Nil) {
		return flashgate.Reservation{}, false, nil
	}
	if err != nil {
		return flashgate.Reservation{}, false, unavailable(op, err)
	}
	r, err := readRecord(op, string(id), text)
	return r.Reservation, err == nil, err
}

// readRecord reads what is held under an order.
func readRecord(op, order, text string) (record, error) {
	parts := strings.SplitN(text, " ", 4)
	if len(parts) != 4 {
		return record{}, unexpected(op, text)
	}
	units, err1 := strconv.Atoi(parts[0])
	at, err2 := strconv.ParseInt(parts[1], 10, 64)
	entered, err3 := strconv.ParseInt(parts[2], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return record{}, unexpected(op, text)
	}
	r := flashgate.Reservation{Order: flashgate.OrderID(order), User: flashgate.UserID(parts[3]), Units: units, At: at}
	return record{Reservation: r, entered: entered}, nil
}

// readRecords reads orders and their records in turn.
func readRecords(op string, texts []string) ([]flashgate.Reservation, error) {
	if len(texts)%2 != 0 {
		return nil, unexpected(op, texts)
	}
	rs := make([]flashgate.Reservation, 0, len(texts)/2)
	for i := 0; i < len(texts); i += 2 {
		r, err := readRecord(op, texts[i], texts[i+1])
		if err != nil {
			return nil, err
		}
		rs = append(rs, r.Reservation)
	}
	return rs, nil
}

var (
	_ flashgate.Stock          = (*Store)(nil)
	_ flashgate.OutboxReserver = (*Store)(nil)
)
