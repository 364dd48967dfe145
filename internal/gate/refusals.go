package gate

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"flashgate"
)

// maxRefusals bounds of how many sales a refusal is known. Past it all are forgotten, which
// costs a question to the stock for each.
const maxRefusals = 10_000

// probeSteps is how many questions to the stock fit into a probe's period at the most.
const probeSteps = 10

// refusals remembers of which sales the stock has said that they are sold out, have ended
// or have not started.
type refusals struct {
	period time.Duration // how long an answer of the stock counts; below zero: none is kept

	mu sync.RWMutex
	of map[flashgate.SaleID]*refusal
}

// refusal is one such answer. It counts until its time is over, as long as the stock's
// watcher is in the same term and has heard of nothing that is after the answer. Both are
// asked when it is used, so it does not matter in which order an answer and the news that
// it is out of date arrive.
type refusal struct {
	answer flashgate.Reserved
	units  int // the fewest that were refused; zero: however many
	term   uint64
	until  time.Time
	probe  atomic.Int64 // from when one request asks the stock again, ns since sent
	sent   time.Time
}

// question is a Reserve that is under way.
type question struct {
	term uint64 // zero: nobody would hear if its answer were out of date
	sent time.Time
}

func ask(ctx context.Context, stock flashgate.Stock, sale flashgate.SaleID) question {
	w, ok := stock.(flashgate.FreedWatcher)
	if !ok {
		return question{}
	}
	return question{w.Freed(ctx, sale).Term, time.Now()}
}

// note keeps what a batch's answers say. One that says nothing of the sale, as to
// somebody who has bought, changes nothing.
func (rs *refusals) note(sale flashgate.SaleID, q question, calls []*call, out []flashgate.Reserved) {
	if rs.period < 0 {
		return
	}
	said, otherwise := -1, false
	for i, o := range out {
		switch o.Outcome {
		case flashgate.OutcomeSoldOut, flashgate.OutcomeEnded, flashgate.OutcomeNotStarted:
			if said < 0 || o.Outcome != out[said].Outcome || calls[i].reservation.Units <= calls[said].reservation.Units {
				said = i
			}
		case flashgate.OutcomeUnset, flashgate.OutcomeAlreadyBought, flashgate.OutcomeBusy, flashgate.OutcomeConflict:
		default:
			otherwise = true
		}
	}
	switch {
	case said >= 0 && q.term != 0:
		rs.set(sale, rs.refused(q, calls[said].reservation.Units, out[said]))
	case said < 0 && otherwise:
		rs.drop(sale, rs.get(sale))
	}
}

// clockStep is the unit in which stocks measure time: what they say is left may be so much
// too long.
const clockStep = time.Millisecond

// refused is what the stock has said to somebody who asked for so many units.
func (rs *refusals) refused(q question, units int, o flashgate.Reserved) *refusal {
	r := &refusal{answer: o, term: q.term, sent: q.sent}
	holds := rs.period
	switch o.Outcome {
	case flashgate.OutcomeSoldOut:
		r.units = units
		holds = min(holds, o.EndsIn)
	case flashgate.OutcomeNotStarted:
		// Counted from when it was asked, which is before the stock looked at its clock:
		// so it never lasts past the opening.
		holds = min(holds, o.OpensIn-clockStep)
	}
	r.until = q.sent.Add(holds)
	r.probe.Store(int64(rs.period / 2))
	return r
}

// set keeps a refusal in place of the one before, unless that says more; whether it counts
// is found out when it is used.
func (rs *refusals) set(sale flashgate.SaleID, r *refusal) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	old, there := rs.of[sale]
	if there && old.answer.Outcome == r.answer.Outcome && old.units < r.units && old.term == r.term && r.sent.Before(old.until) {
		return
	}
	if !there && len(rs.of) >= maxRefusals || rs.of == nil {
		rs.of = map[flashgate.SaleID]*refusal{}
	}
	rs.of[sale] = r
}

func (rs *refusals) get(sale flashgate.SaleID) *refusal {
	rs.mu.RLock()
	defer rs.mu.RUnlock()
	return rs.of[sale]
}

// drop forgets a refusal unless there is another one by now.
func (rs *refusals) drop(sale flashgate.SaleID, r *refusal) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if r != nil && rs.of[sale] == r {
		delete(rs.of, sale)
	}
}

// Known is the refusal that whoever wants so many units of a sale would get from the
// stock, if it is known without asking: OutcomeSoldOut, OutcomeEnded or OutcomeNotStarted,
// with what is left of EndsIn and OpensIn. The stock has said so in the last
// Config.SoldOutProbe, and nothing that is heard of has changed since. From half of that
// time on one request after the other gets false although it is known, and finds out
// again. A stock that is no flashgate.FreedWatcher is asked each time.
//
// Nothing is ever accepted without the stock, and "not started" is never said past the
// opening. Of an earlier try with the same id a refusal says nothing.
func (g *Gate) Known(ctx context.Context, sale flashgate.SaleID, units int) (flashgate.Reserved, bool) {
	r := g.refusals.get(sale)
	if r == nil || units < r.units {
		return flashgate.Reserved{}, false
	}
	now := time.Now()
	if !now.Before(r.until) || !g.counts(ctx, sale, r) {
		g.refusals.drop(sale, r)
		return flashgate.Reserved{}, false
	}
	age := now.Sub(r.sent)
	if r.probes(age, g.refusals.period) {
		return flashgate.Reserved{}, false
	}
	answer := r.answer
	answer.OpensIn, answer.EndsIn = max(answer.OpensIn-age, 0), max(answer.EndsIn-age, 0)
	return answer, true
}

// counts reports whether nothing has made the refusal wrong.
func (g *Gate) counts(ctx context.Context, sale flashgate.SaleID, r *refusal) bool {
	stock, err := g.cfg.Backend.Stock()
	if err != nil {
		return false
	}
	w, ok := stock.(flashgate.FreedWatcher)
	if !ok {
		return false
	}
	freed := w.Freed(ctx, sale)
	return freed.Term == r.term && !r.answer.Position().Before(freed.Since)
}

// probes picks one caller to ask the stock again. If that brings no news, another one
// is picked a little later.
func (r *refusal) probes(age, period time.Duration) bool {
	next := r.probe.Load()
	return int64(age) >= next && r.probe.CompareAndSwap(next, int64(age+period/probeSteps))
}
