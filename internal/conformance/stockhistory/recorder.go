package stockhistory

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"flashgate"

	"github.com/anishathalye/porcupine"
)

// Recorder collects the calls of one run.
type Recorder struct {
	begin time.Time

	mu        sync.Mutex
	ops       []porcupine.Operation
	unknown   map[verb]int
	unanswers int // refusals behind a broken connection
}

// NewRecorder starts the clock.
func NewRecorder() *Recorder { return &Recorder{begin: time.Now(), unknown: map[verb]int{}} }

// Caller is one of the concurrent callers. Its calls return what the port returned.
type Caller struct {
	*Recorder
	ID int
	// Nothing reports whether an error of Reserve says that nothing was reserved and
	// nothing will be. Nil: no error says so.
	Nothing func(error) bool
}

func (r *Recorder) now() int64 { return int64(time.Since(r.begin)) }

// never is when a call returns that has not been answered.
const never = math.MaxInt64

func (c Caller) note(in input, call int64, out output, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	op := porcupine.Operation{ClientId: c.ID, Input: in, Call: call, Output: out, Return: c.now()}
	switch {
	case err == nil:
	case in.verb == view || in.verb == held:
		return // it says nothing and changes nothing
	default:
		c.unknown[in.verb]++
		op.Output, op.Return = output{unknown: true}, never
	}
	c.ops = append(c.ops, op)
	for _, try := range tries(in, out, err) {
		op.Output = output{unknown: true}
		if try == unanswered {
			op.Return = never
		}
		c.ops = append(c.ops, op)
	}
	if out.has(flashgate.OutcomeUnset) {
		c.unanswers++
	}
}

// try is one that a client may have made before the one whose answer it has.
type try int

const (
	overtaken  try = iota // it can change nothing any more when the call has returned
	unanswered            // it may still be on its way
)

// tries are those that may have had an effect apart from the call that is recorded.
//
// A client that has lost the reply to a call makes it again, and its answer is that of
// the last try, its effect that of the first. An answer may tell of what happened in
// between: that an id is decided already, or a seq beyond the last entry. Of a batch
// each try may have granted another part; and behind an unset outcome the first try may
// arrive when the second was refused.
func tries(in input, out output, err error) []try {
	switch {
	case in.verb == reserve && (err != nil && len(in.rs) > 1 || out.has(flashgate.OutcomeUnset)):
		return []try{unanswered}
	case in.verb == reserve && !in.Shared && (out.has(flashgate.OutcomePublish) || out.has(flashgate.OutcomeAccepted)):
		return []try{overtaken}
	case in.verb == apply && err == nil && out.applied > in.entries[len(in.entries)-1].Seq:
		return []try{overtaken}
	}
	return nil
}

func (o output) has(outcome flashgate.Outcome) bool {
	return slices.ContainsFunc(o.reserved, func(r flashgate.Reserved) bool { return r.Outcome == outcome })
}

// Reserve records a batch.
func (c Caller) Reserve(ctx context.Context, s flashgate.Stock, sale *Sale, rs ...flashgate.Reservation) ([]flashgate.Reserved, error) {
	call := c.now()
	got, err := s.Reserve(ctx, sale.ID, rs)
	if err != nil && c.Nothing != nil && c.Nothing(err) {
		return nil, err
	}
	c.note(input{Sale: sale, verb: reserve, rs: rs}, call, output{reserved: got}, err)
	return got, err
}

// View records what is free, held and applied.
func (c Caller) View(ctx context.Context, s flashgate.Stock, sale *Sale) (flashgate.StockView, error) {
	call := c.now()
	v, err := s.View(ctx, sale.ID)
	c.note(input{Sale: sale, verb: view}, call, output{view: v}, err)
	return v, err
}

// Held records whether a reservation is held.
func (c Caller) Held(ctx context.Context, s flashgate.Stock, sale *Sale, id flashgate.OrderID) error {
	call := c.now()
	_, ok, err := s.Held(ctx, id)
	c.note(input{Sale: sale, verb: held, id: id}, call, output{held: ok}, err)
	return err
}

// Apply records entries that have no gap before them.
func (c Caller) Apply(ctx context.Context, a flashgate.Applier, sale *Sale, es []flashgate.LogEntry) (uint64, error) {
	call := c.now()
	applied, err := a.Apply(ctx, sale.ID, es)
	c.note(input{Sale: sale, verb: apply, entries: es}, call, output{applied: applied}, err)
	return applied, err
}

// Settle records what is settled at a seq that is applied.
func (c Caller) Settle(ctx context.Context, a flashgate.Applier, sale *Sale, seq uint64, ids []flashgate.OrderID) error {
	call := c.now()
	err := a.Settle(ctx, sale.ID, seq, ids)
	c.note(input{Sale: sale, verb: settle, seq: seq, ids: ids}, call, output{}, err)
	return err
}

// Decide records a batch of reservations that were held when it was called.
func (c Caller) Decide(ctx context.Context, l flashgate.Ledger, sale *Sale, rs []flashgate.Reservation) error {
	call := c.now()
	ds, err := l.Decide(ctx, sale.ID, rs, time.Hour)
	c.note(input{Sale: sale, verb: decide, rs: rs}, call, output{decisions: ds}, err)
	return err
}

// Cancel records the cancel of an order, which is not paid.
func (c Caller) Cancel(ctx context.Context, o flashgate.OrderStore, sale *Sale, r flashgate.Reservation) error {
	call := c.now()
	_, err := o.Cancel(ctx, r.Order, r.User)
	out := output{cancelled: err == nil}
	if flashgate.ErrorCode(err) == flashgate.CodeNotFound {
		err = nil // an answer
	}
	c.note(input{Sale: sale, verb: cancel, id: r.Order}, call, out, err)
	return err
}

// Report is what a history came to.
type Report struct {
	Calls    int
	Unknown  int           // without an answer, which may have taken effect or not
	Unset    int           // batches with a refusal that is none
	Longest  time.Duration // that a verdict took
	Illegal  []string
	Unjudged []string // sales whose verdict was not found in time
}

// judgeLimit is how long one sale's history may take. It takes milliseconds; but then the
// machine may be busy.
const judgeLimit = time.Minute

// Judge judges every sale by itself. An unjudged history is as bad as an illegal one.
func (r *Recorder) Judge() (out Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out.Calls, out.Unset = len(r.ops), r.unanswers
	for _, n := range r.unknown {
		out.Unknown += n
	}
	for _, history := range model.Partition(r.ops) {
		sale := history[0].Input.(input).Sale
		begin := time.Now()
		verdict := porcupine.CheckOperationsTimeout(model, history, judgeLimit)
		out.Longest = max(out.Longest, time.Since(begin))
		switch verdict {
		case porcupine.Ok:
		case porcupine.Illegal:
			out.Illegal = append(out.Illegal, fmt.Sprintf("sale %s of %d units, %d for each:\n%s", sale.ID, sale.Units, sale.PerUser, text(history)))
		default:
			out.Unjudged = append(out.Unjudged, text(history))
		}
	}
	return out
}

// refutedIn is how long Refuted looks at one sale's history: that there is no order may
// take long to see, where there are many calls without an answer.
const refutedIn = 3 * time.Second

// Refuted reports whether a sale's history is seen to be illegal, and looks no further.
func (r *Recorder) Refuted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(model.Partition(r.ops), func(history []porcupine.Operation) bool {
		return porcupine.CheckOperationsTimeout(model, history, refutedIn) == porcupine.Illegal
	})
}

// text is a history for people, by the time of the calls.
func text(history []porcupine.Operation) string {
	history = slices.Clone(history)
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return int(min(max(a.Call-b.Call, -1), 1)) })
	var b strings.Builder
	for _, op := range history {
		until := "..."
		if op.Return != never {
			until = time.Duration(op.Return).Round(time.Microsecond).String()
		}
		fmt.Fprintf(&b, "  %v to %s, caller %d: %s\n", time.Duration(op.Call).Round(time.Microsecond), until, op.ClientId, model.DescribeOperation(op.Input, op.Output))
	}
	return b.String()
}

// NewSale makes one of a sale as it is created, with all that will be reserved in it.
func NewSale(s flashgate.Sale, rs []flashgate.Reservation) *Sale {
	out := &Sale{ID: s.ID, Units: s.Seeded, PerUser: s.PerUser, Reservations: rs}
	out.index()
	return out
}
