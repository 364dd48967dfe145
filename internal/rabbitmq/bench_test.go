package rabbitmq_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"flashgate"
)

// BenchmarkPublish publishes one-order messages of eight sales; each operation ends
// with the broker's confirm.
func BenchmarkPublish(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			cfg := config(b)
			p := openPublisher(b, cfg)
			var ms []flashgate.Message
			for range 8 {
				ms = append(ms, message(newSale()))
			}
			publish(b, p, ms...)
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for i := range callers {
				wg.Go(func() {
					for next.Add(1) <= int64(b.N) {
						if err := p.Publish(b.Context(), ms[i%len(ms)]); err != nil {
							b.Errorf("Publish: %v", err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
