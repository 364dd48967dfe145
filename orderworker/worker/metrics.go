package worker

import (
	"github.com/prometheus/client_golang/prometheus"

	"flashgate"
)

// metrics are the worker's figures. Labels are constants of package flashgate,
// never ids.
type metrics struct {
	decided       *prometheus.CounterVec
	duplicates    prometheus.Counter
	deadLetters   *prometheus.CounterVec
	expired       prometheus.Counter
	retries       *prometheus.CounterVec
	batch         prometheus.Histogram
	decideSeconds prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	opts := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "flashgate", Subsystem: "worker", Name: name, Help: help}
	}
	m := &metrics{
		decided: prometheus.NewCounterVec(opts("decided_total",
			"Orders decided for the first time. rejected with sold_out means that the gate had accepted too many."), []string{"status", "reason"}),
		duplicates: prometheus.NewCounter(opts("duplicates_total",
			"Reservations that came again after they had been decided.")),
		deadLetters: prometheus.NewCounterVec(opts("dead_letters_total",
			"Reservations and messages that could not be decided and wait for an operator."), []string{"reason"}),
		expired: prometheus.NewCounter(opts("expired_total",
			"Unpaid orders cancelled because their time was over.")),
		retries: prometheus.NewCounterVec(opts("retries_total",
			"Calls repeated because a backend was away."), []string{"op"}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "flashgate", Subsystem: "worker", Name: "batch_reservations",
			Help: "Reservations decided in one transaction.", Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}),
		decideSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "flashgate", Subsystem: "worker", Name: "decide_duration_seconds",
			Help: "Time to decide one batch, retries included.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
		}),
	}
	for _, c := range []prometheus.Collector{m.decided, m.duplicates, m.deadLetters, m.expired, m.retries, m.batch, m.decideSeconds} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) decision(s flashgate.Status, reason string) {
	m.decided.WithLabelValues(string(s), reasonLabel(reason)).Inc()
}

func (m *metrics) dead(reason string) { m.deadLetters.WithLabelValues(reasonLabel(reason)).Inc() }

// reasonLabel bounds the label to the reasons that the domain knows.
func reasonLabel(reason string) string {
	switch reason {
	case "", flashgate.ReasonSoldOut, flashgate.ReasonAlreadyBought, flashgate.ReasonUnreadable, flashgate.ReasonMismatch,
		flashgate.ReasonNoSale, flashgate.ReasonInvalid, flashgate.ReasonFailed:
		return reason
	default:
		return "other"
	}
}
