package mysql_test

import (
	"fmt"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/servers/serverstest"
)

// BenchmarkDecide decides new reservations of one sale, one batch after the other.
func BenchmarkDecide(b *testing.B) {
	for _, rows := range []int{1, 64, 256, flashgate.MaxMessageReservations} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			s := openStore(b, serverstest.Database(b))
			sale := createSale(b, s, flashgate.MaxStock, 1)
			var spent time.Duration
			for b.Loop() {
				b.StopTimer()
				rs := reservations(sale, rows)
				b.StartTimer()
				start := time.Now()
				if _, err := s.Decide(b.Context(), sale, rs, time.Hour); err != nil {
					b.Fatal(err)
				}
				spent += time.Since(start)
			}
			b.ReportMetric(float64(rows*b.N)/spent.Seconds(), "rows/s")
		})
	}
}
