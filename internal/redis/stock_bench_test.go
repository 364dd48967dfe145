package redis_test

import (
	"fmt"
	"testing"

	"flashgate"
	"flashgate/internal/servers/serverstest"
)

// BenchmarkReserve is one connection's worth of batches; the time is that of one
// reservation. "new" are all held, "sold out" all refused, "again" all known.
func BenchmarkReserve(b *testing.B) {
	for _, size := range []int{1, 64, 256} {
		for _, kind := range []string{"new", "sold out", "again"} {
			b.Run(fmt.Sprintf("%s/%d", kind, size), func(b *testing.B) {
				s := newStore(b, serverstest.Redis(b).URL())
				sale := newSale(0, 1)
				if kind != "sold out" {
					sale.Seeded = flashgate.MaxStock
				}
				snapshot := snapshotOf(sale, 1, 0, sale.Seeded)
				snapshot.Bound = flashgate.MaxStock
				open(b, s, snapshot)
				known := reservations(sale.ID, size)
				reserve := func(rs []flashgate.Reservation) {
					if _, err := s.Reserve(b.Context(), sale.ID, rs); err != nil {
						b.Fatal(err)
					}
				}
				reserve(known)
				n := 0
				for b.Loop() {
					if n++; n%size != 0 {
						continue
					}
					if kind == "new" {
						b.StopTimer()
						known = reservations(sale.ID, size)
						b.StartTimer()
					}
					reserve(known)
				}
				if kind == "new" {
					wantView(b, s, sale.ID, sale.Seeded-int64(size*(1+n/size)), int64(size*(1+n/size)), "after the run")
				}
			})
		}
	}
}
