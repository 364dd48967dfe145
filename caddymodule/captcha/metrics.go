package captcha

import (
	"errors"
	"strconv"

	"flashgate/internal/challenge"

	"github.com/prometheus/client_golang/prometheus"
)

// The collectors belong to the process and are registered with each configuration's
// registry, so their series go on counting after a reload.
var (
	drawn = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "flashgate",
		Name:      "captcha_drawn_total",
		Help:      "Challenges drawn, by media; ahead true: for the pool, false: while a visitor waited. Over several gateways: sum.",
	}, []string{"media", "ahead"})

	taken = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "flashgate",
		Name:      "captcha_taken_total",
		Help:      "Challenges that visitors asked for, by media and where they came from; refused: the pool was empty and too many waited. Over several gateways: sum.",
	}, []string{"media", "source"})

	pooled = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "flashgate",
		Name:      "captcha_pool_challenges",
		Help:      "Challenges that are drawn ahead, by media. Over several gateways: sum.",
	}, []string{"media"})

	pooledBytes = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "flashgate",
		Name:      "captcha_pool_bytes",
		Help:      "Memory that challenges drawn ahead take. Over several gateways: sum.",
	})
)

func registerMetrics(r *prometheus.Registry) error {
	for _, m := range []string{challenge.Image.String(), challenge.Audio.String()} {
		pooled.WithLabelValues(m) // so that the series are there before there is anything to count
		for _, from := range []challenge.Source{challenge.FromPool, challenge.Drawn, challenge.Refused} {
			taken.WithLabelValues(m, string(from))
		}
		for _, ahead := range []bool{true, false} {
			drawn.WithLabelValues(m, strconv.FormatBool(ahead))
		}
	}
	for _, c := range []prometheus.Collector{drawn, taken, pooled, pooledBytes} {
		err := r.Register(c)
		if _, again := errors.AsType[prometheus.AlreadyRegisteredError](err); err != nil && !again {
			return err
		}
	}
	return nil
}

// meter tells Prometheus what the pools do.
type meter struct{}

func (meter) Made(m challenge.Media, ahead bool) {
	drawn.WithLabelValues(m.String(), strconv.FormatBool(ahead)).Inc()
}

func (meter) Held(m challenge.Media, challenges, bytes int) {
	pooled.WithLabelValues(m.String()).Add(float64(challenges))
	pooledBytes.Add(float64(bytes))
}

func (meter) Taken(m challenge.Media, from challenge.Source) {
	taken.WithLabelValues(m.String(), string(from)).Inc()
}
