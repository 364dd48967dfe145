package gate

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"flashgate"
)

// maxFlags bounds how many sales have a flag. Past it all are forgotten, which costs a
// question to the stock for each.
const maxFlags = 10_000

// probeSteps is how many questions to the stock fit into a probe's period at the most.
const probeSteps = 10

// flags remembers of which sales the stock has said that they are sold out.
type flags struct {
	period time.Duration // how long an answer of the stock counts

	mu sync.RWMutex
	of map[flashgate.SaleID]*flag
}

// flag is one answer "sold out". It counts until its time is over, as long as the
// stock's watcher is in the same term and has heard of nothing that is after the
// answer. Both are asked when the flag is used, so it does not matter in which order
// an answer and the news that units came free arrive.
type flag struct {
	units int // the fewest that were refused
	term  uint64
	at    flashgate.Position
	until time.Time
	probe atomic.Int64 // from when one request asks the stock again, ns since sent
	sent  time.Time
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

// note keeps what a batch's answers say. One that says neither that units are there
// nor that there are none, as to somebody who has bought, changes nothing.
func (fs *flags) note(sale flashgate.SaleID, q question, calls []*call, out []flashgate.Reserved) {
	soldOut, otherwise := -1, false
	for i, o := range out {
		switch o.Outcome {
		case flashgate.OutcomeSoldOut:
			if soldOut < 0 || calls[i].reservation.Units <= calls[soldOut].reservation.Units {
				soldOut = i
			}
		case flashgate.OutcomeUnset, flashgate.OutcomeAlreadyBought, flashgate.OutcomeBusy, flashgate.OutcomeConflict:
		default:
			otherwise = true
		}
	}
	switch {
	case soldOut >= 0 && q.term != 0:
		fs.set(sale, q, calls[soldOut].reservation.Units, out[soldOut])
	case soldOut < 0 && otherwise:
		fs.drop(sale, fs.get(sale))
	}
}

func (fs *flags) set(sale flashgate.SaleID, q question, units int, o flashgate.Reserved) {
	f := &flag{units: units, term: q.term, at: o.Position(), sent: q.sent, until: q.sent.Add(min(fs.period, o.EndsIn))}
	f.probe.Store(int64(fs.period / 2))
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if old := fs.of[sale]; old != nil && old.units < units && old.term == q.term && q.sent.Before(old.until) {
		return // it says more; whether it counts is found out when it is used
	}
	if _, there := fs.of[sale]; !there && len(fs.of) >= maxFlags || fs.of == nil {
		fs.of = map[flashgate.SaleID]*flag{}
	}
	fs.of[sale] = f
}

func (fs *flags) get(sale flashgate.SaleID) *flag {
	fs.mu.RLock()
	defer fs.mu.RUnlock()
	return fs.of[sale]
}

// drop forgets a flag unless there is another one by now.
func (fs *flags) drop(sale flashgate.SaleID, f *flag) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f != nil && fs.of[sale] == f {
		delete(fs.of, sale)
	}
}

// SoldOut reports whether so many units of a sale are known to be sold out, without
// asking the stock: it has said so in the last Config.SoldOutProbe, and nothing has
// come free since. From half of that time on one request after the other gets false
// although they are, and finds out again. A stock that is no flashgate.FreedWatcher is
// asked each time.
//
// Nothing is ever accepted without the stock. Of an earlier try with the same id a
// refusal says nothing.
func (g *Gate) SoldOut(ctx context.Context, sale flashgate.SaleID, units int) bool {
	f := g.soldOut.get(sale)
	if f == nil || units < f.units {
		return false
	}
	now := time.Now()
	if !now.Before(f.until) || !g.counts(ctx, sale, f) {
		g.soldOut.drop(sale, f)
		return false
	}
	return !f.probes(now.Sub(f.sent), g.soldOut.period)
}

// counts reports whether nothing has made the flag's answer wrong.
func (g *Gate) counts(ctx context.Context, sale flashgate.SaleID, f *flag) bool {
	stock, err := g.cfg.Backend.Stock()
	if err != nil {
		return false
	}
	w, ok := stock.(flashgate.FreedWatcher)
	if !ok {
		return false
	}
	freed := w.Freed(ctx, sale)
	return freed.Term == f.term && !f.at.Before(freed.Since)
}

// probes picks one caller to ask the stock again. If that brings no news, another one
// is picked a little later.
func (f *flag) probes(age, period time.Duration) bool {
	next := f.probe.Load()
	return int64(age) >= next && f.probe.CompareAndSwap(next, int64(age+period/probeSteps))
}
