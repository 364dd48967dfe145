package worker

import (
	"github.com/prometheus/client_golang/prometheus"

	"flashgate"
)

// Where figures are read from.
const (
	sourceGate     = "gate"
	sourceDatabase = "database"
	sourceQueue    = "queue"
)

// What may have caused an over-acceptance.
const (
	causeLoss = "redis_loss"
	causeBug  = "bug"
)

// figureMetrics are the gauges that are read from the servers. Those of a backend that
// cannot tell are nil and not exported: a zero would say that all is well.
type figureMetrics struct {
	dead         prometheus.Gauge
	overAccepted *prometheus.GaugeVec
	eventAge     prometheus.Gauge // nil without events

	ready   *prometheus.GaugeVec
	unacked *prometheus.GaugeVec

	heldAge   prometheus.Gauge
	heldUnits prometheus.Gauge
	outboxAge prometheus.Gauge
	outbox    prometheus.Gauge

	read *prometheus.GaugeVec
	all  []prometheus.Collector
}

func newFigureMetrics() *figureMetrics {
	m := &figureMetrics{read: newGauges("figures_timestamp_seconds",
		"Unix time at which all figures of a source were last read without an error."+overMax, "source")}
	m.all = append(m.all, m.read)
	return m
}

func (m *figureMetrics) ofDatabase(events bool) {
	m.dead = newGauge("dead_letters_waiting", "Dead letters that wait for an operator."+overMax)
	m.overAccepted = newGauges("over_accepted_orders",
		"Orders of the last 24 hours that the gate accepted and the database rejected, by cause: the gate had lost its state before, or there is none."+overMax,
		"cause", causeLoss, causeBug)
	m.all = append(m.all, m.dead, m.overAccepted)
	if events {
		m.eventAge = newGauge("event_age_seconds", "Age of the oldest order event that is not delivered; 0 without one."+overMax)
		m.all = append(m.all, m.eventAge)
	}
	m.read.WithLabelValues(sourceDatabase)
}

func (m *figureMetrics) ofQueue() {
	m.ready = newGauges("queue_ready_messages", "Messages in a queue that were given to nobody."+overMax, "queue")
	m.unacked = newGauges("queue_unacked_messages", "Messages of a queue that this worker was given and has not acked."+overSum, "queue")
	m.all = append(m.all, m.ready, m.unacked)
	m.read.WithLabelValues(sourceQueue)
}

func (m *figureMetrics) ofGate() {
	m.heldAge = newGauge("held_age_seconds", "Age of the oldest held reservation that is neither decided nor a dead letter; 0 without one."+overMax)
	m.heldUnits = newGauge("held_units", "Units that open sales hold undecided."+overMax)
	m.outboxAge = newGauge("outbox_age_seconds", "Age of the oldest reservation that is not known to be in the queue; 0 without one."+overMax)
	m.outbox = newGauge("outbox_reservations", "Reservations that are not known to be in the queue."+overMax)
	m.all = append(m.all, m.heldAge, m.heldUnits, m.outboxAge, m.outbox)
	m.read.WithLabelValues(sourceGate)
}

func (m *figureMetrics) tally(t flashgate.Tally) {
	m.dead.Set(float64(t.DeadLetters))
	m.overAccepted.WithLabelValues(causeLoss).Set(float64(t.AfterLoss))
	m.overAccepted.WithLabelValues(causeBug).Set(float64(t.OverAccepted))
	if m.eventAge != nil {
		m.eventAge.Set(t.EventAge.Seconds())
	}
}

func (m *figureMetrics) depths(ds []flashgate.QueueDepth) {
	for _, d := range ds {
		m.ready.WithLabelValues(d.Queue).Set(float64(d.Ready))
		m.unacked.WithLabelValues(d.Queue).Set(float64(d.Unacked))
	}
}
