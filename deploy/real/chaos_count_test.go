package main_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"flashgate/deploy/chaos"
	"flashgate/internal/failpoint"
	"flashgate/internal/fleet"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// counts are what the campaign did.
type counts struct {
	mu                            sync.Mutex
	faults, kills, points, broken chaos.Tally
	losses                        []time.Time // of writes, by Redis
	races, letters                int
	recoveries                    map[string][]time.Duration // by what there was to recover from
}

func (k *counts) add(into *chaos.Tally, name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if *into == nil {
		*into = chaos.Tally{}
	}
	(*into)[name]++
}

func (k *counts) fault(name string)           { k.add(&k.faults, name) }
func (k *counts) killed(process string)       { k.add(&k.kills, process) }
func (k *counts) struck(point failpoint.Name) { k.add(&k.points, string(point)) }
func (k *counts) link(kind string)            { k.add(&k.broken, kind) }

func (k *counts) lost() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.losses = append(k.losses, time.Now())
}

func (k *counts) raced() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.races++
}

func (k *counts) replayed() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.letters++
}

func (k *counts) recoveredIn(from string, d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.recoveries == nil {
		k.recoveries = map[string][]time.Duration{}
	}
	k.recoveries[from] = append(k.recoveries[from], d)
}

// recovery is how long it took to recover from what begins with from.
func (k *counts) recovery(from string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []time.Duration
	for name, ds := range k.recoveries {
		if strings.HasPrefix(name, from) {
			all = append(all, ds...)
		}
	}
	if len(all) == 0 {
		return "not measured"
	}
	slices.Sort(all)
	at := func(p int) time.Duration { return all[min(len(all)-1, len(all)*p/100)].Round(10 * time.Millisecond) }
	return fmt.Sprintf("p50 %v, p99 %v, longest %v, of %d", at(50), at(99), at(100), len(all))
}

// figures reads the metrics of all processes again and again and adds up by how much
// the counters grew. A process that dies takes with it what grew since the last look,
// so the sums are too small if anything.
type figures struct {
	mu    sync.Mutex
	grown map[string]float64 // by metric and labels
	seen  map[string]float64 // the last value, by process, metric and labels
	peaks map[string]float64 // of gauges
}

func newFigures() *figures {
	return &figures{grown: map[string]float64{}, seen: map[string]float64{}, peaks: map[string]float64{}}
}

func (f *figures) watch(ctx context.Context, ps []*fleet.Process) {
	var wg sync.WaitGroup
	for _, p := range ps {
		if p.Metrics == "" {
			continue
		}
		wg.Go(func() {
			for ctx.Err() == nil {
				_ = f.read(ctx, p) // it may be dead
				pause(ctx, 200*time.Millisecond)
			}
		})
	}
	wg.Wait()
}

var scraper = &http.Client{Timeout: 2 * time.Second}

func (f *figures) read(ctx context.Context, p *fleet.Process) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Metrics, nil)
	if err != nil {
		return err
	}
	res, err := scraper.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(res.Body)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, family := range families {
		if !strings.HasPrefix(name, "flashgate_") {
			continue
		}
		for _, m := range family.GetMetric() {
			series := name
			for _, l := range m.GetLabel() {
				series += fmt.Sprintf(",%s=%s", l.GetName(), l.GetValue())
			}
			switch {
			case m.GetGauge() != nil:
				v := m.GetGauge().GetValue()
				f.peaks[series] = max(f.peaks[series], v, -v)
			case m.GetCounter() != nil:
				v, before := m.GetCounter().GetValue(), f.seen[p.Name+" "+series]
				if v < before { // another process by now
					before = 0
				}
				f.grown[series] += v - before
				f.seen[p.Name+" "+series] = v
			}
		}
	}
	return nil
}

// sum adds up the series of a metric whose labels contain all of these, such as
// "code=unknown_outcome".
func (f *figures) sum(name string, labels ...string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s, v := range f.grown {
		if matches(s, name, labels) {
			n += int(v)
		}
	}
	return n
}

// peak is the highest value of a gauge, whatever its sign, of the series with all of these
// labels.
func (f *figures) peak(name string, labels ...string) (v float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s, p := range f.peaks {
		if matches(s, name, labels) {
			v = max(v, p)
		}
	}
	return v
}

func matches(series, name string, labels []string) bool {
	parts := strings.Split(series, ",")
	return parts[0] == name && !slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(parts[1:], l) })
}

// moved prints how the figures moved that operators are warned by, and returns them. The
// drift is not among them: it moves when there is a bug.
func (f *figures) moved(t *testing.T) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, name := range []string{"outbox_age_seconds", "outbox_reservations", "held_age_seconds", "held_units", "queue_unacked_messages", "dead_letters_waiting", "closed_sales", "event_age_seconds"} {
		name = "flashgate_worker_" + name
		if peak := f.peak(name); peak > 0 {
			out[name] = max(1, int(peak))
		} else {
			out[name] = 0
		}
		t.Logf("peak of %s: %.1f", name, f.peak(name))
	}
	// A worker has most of a queue in its hands: ready are only those for which none is
	// there, too shortly to be read for certain.
	t.Logf("peak of flashgate_worker_queue_ready_messages: %.1f", f.peak("flashgate_worker_queue_ready_messages"))
	for name, labels := range map[string][]string{
		"flashgate_worker_epochs_raised_total": {"opening=again"}, "flashgate_worker_reconciles_total": {"outcome=opened"}, "flashgate_worker_relayed_total": nil,
		"flashgate_worker_duplicates_total": nil, "flashgate_worker_settled_total": nil, "flashgate_worker_gate_checks_total": nil,
		"flashgate_decisions_total": {"directive=stock_gate", "result=unknown_outcome"},
	} {
		out[name] = f.sum(name, labels...)
		t.Logf("%s %v: %d", name, labels, out[name])
	}
	if drift := f.peak("flashgate_worker_gate_drift_units"); drift != 0 {
		t.Errorf("P4: a worker has seen a drift of %v units", drift)
	}
	if bugs := f.peak("flashgate_worker_over_accepted_orders", "cause=bug"); bugs != 0 {
		t.Errorf("P2: a worker has seen %v orders that the gate accepted and the database rejected, and Redis had lost nothing", bugs)
	}
	return out
}
