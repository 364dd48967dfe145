package app

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// decisions belongs to the process and is registered with each configuration's
// registry, so its series go on counting after a reload.
var decisions = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: "flashgate",
	Name:      "decisions_total",
	Help:      "Requests that a directive decided, by its result.",
}, []string{"directive", "result"})

func registerMetrics(r *prometheus.Registry) error {
	err := r.Register(decisions)
	if _, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		return nil
	}
	return err
}

// CountDecision counts one decision of a directive in flashgate_decisions_total.
// Both labels come from the program, never from a request: their number is bounded.
func CountDecision(directive, result string) {
	decisions.WithLabelValues(directive, result).Inc()
}

// Decisions returns the counts so far, by directive and result.
func Decisions() map[string]map[string]uint64 {
	ch := make(chan prometheus.Metric)
	go func() {
		decisions.Collect(ch)
		close(ch)
	}()
	out := map[string]map[string]uint64{}
	for m := range ch {
		directive, result, n := readCounter(m)
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
