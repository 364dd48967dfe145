package gate_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"flashgate"
	"flashgate/internal/gate"
)

// BenchmarkReserve is 64 buyers at once, the first of whom travels alone and the others
// together: what the gate itself takes, in front of a stock that answers at once.
func BenchmarkReserve(b *testing.B) {
	const buyers = 64
	for _, c := range []struct {
		name  string
		reply flashgate.Outcome
		want  flashgate.Outcome
	}{
		{"refused", flashgate.OutcomeAlreadyBought, flashgate.OutcomeAlreadyBought},
		{"published", flashgate.OutcomePublish, flashgate.OutcomeAccepted},
	} {
		b.Run(c.name, func(b *testing.B) {
			var here atomic.Int64
			reply := all(flashgate.Reserved{Outcome: c.reply})
			s := &stock{answer: func(rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
				for here.Load() < buyers { // until all have come
					runtime.Gosched()
				}
				return reply(rs)
			}}
			g := gate.New(gate.Config{Backend: backend{stock: s, publisher: publisher(func(context.Context, flashgate.Message) error { return nil })}})
			rs := make([]flashgate.Reservation, buyers)
			for i := range rs {
				rs[i] = reservation("1", "13800000000")
			}
			b.ReportAllocs()
			for b.Loop() {
				here.Store(0)
				var wg sync.WaitGroup
				for _, r := range rs {
					wg.Go(func() {
						here.Add(1)
						if got, err := g.Reserve(b.Context(), r); err != nil || got.Outcome != c.want {
							b.Errorf("%+v, %v", got, err)
						}
					})
				}
				wg.Wait()
			}
		})
	}
}
