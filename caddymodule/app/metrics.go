package app

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// The collectors belong to the process and are registered with each configuration's
// registry, so their series go on counting after a reload.
var (
	decisions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "flashgate",
		Name:      "decisions_total",
		Help:      "Requests that a directive decided, by its result. Over several gateways: sum.",
	}, []string{"directive", "result"})

	circuits = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "flashgate",
		Name:      "circuits_open",
		Help:      "Circuits that are open because their server does not answer, by kind of server. Over several gateways: max.",
	}, []string{"server"})

	batches = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: "flashgate",
		Name:      "reserve_batch_reservations",
		Help:      "Reservations that travelled to the stock in one call.",
		Buckets:   prometheus.ExponentialBuckets(1, 2, 9), // 1 to gate.MaxBatch
	})
)

var exceeded = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: "flashgate",
	Name:      "access_limit_exceeded_total",
	Help:      "Requests past a limit, by its name; refused false: a dry run, or a captcha was solved.",
}, []string{"limit", "refused"})

// A Counter counts one more. Who counts with every request asks for it once, as to find it
// costs more than to count.
type Counter interface{ Inc() }

// ExceededCounter counts requests past a limit. Names are the configuration's.
func ExceededCounter(limit string, refused bool) Counter {
	return exceeded.WithLabelValues(limit, strconv.FormatBool(refused))
}

func registerMetrics(r *prometheus.Registry) error {
	for _, c := range []prometheus.Collector{decisions, circuits, batches, exceeded, pageMetrics{}} {
		err := r.Register(c)
		if _, again := errors.AsType[prometheus.AlreadyRegisteredError](err); err != nil && !again {
			return err
		}
	}
	return nil
}

// ObserveBatch notes the size of a batch that went to the stock.
func ObserveBatch(reservations int) { batches.Observe(float64(reservations)) }

// CountDecision counts one decision of a directive in flashgate_decisions_total.
// Both labels come from the program, never from a request: their number is bounded.
func CountDecision(directive, result string) { DecisionCounter(directive, result).Inc() }

// DecisionCounter is what CountDecision counts with.
func DecisionCounter(directive, result string) Counter {
	return decisions.WithLabelValues(directive, result)
}

// ExpectDecisions makes the series of results that somebody watches before there is any:
// to Prometheus one that begins with one has not grown.
func ExpectDecisions(directive string, results ...string) {
	for _, r := range results {
		decisions.WithLabelValues(directive, r)
	}
}

// Decisions returns the counts so far, by directive and result; none is zero.
func Decisions() map[string]map[string]uint64 {
	ch := make(chan prometheus.Metric)
	go func() {
		decisions.Collect(ch)
		close(ch)
	}()
	out := map[string]map[string]uint64{}
	for m := range ch {
		directive, result, n := readCounter(m)
		if n == 0 {
			continue
		}
		if out[directive] == nil {
			out[directive] = map[string]uint64{}
		}
		out[directive][result] = n
	}
	return out
}

func readCounter(m prometheus.Metric) (directive, result string, n uint64) {
	var d dto.Metric
	if m.Write(&d) != nil {
		return "", "", 0
	}
	for _, l := range d.GetLabel() {
		switch l.GetName() {
		case "directive":
			directive = l.GetValue()
		case "result":
			result = l.GetValue()
		}
	}
	return directive, result, uint64(d.GetCounter().GetValue())
}
