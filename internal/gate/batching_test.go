package gate_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/gate"
	"flashgate/internal/redis"
	"flashgate/internal/servers/serverstest"
	"flashgate/internal/sqlite"
)

func TestMain(m *testing.M) { serverstest.Main(m) }

// Whether requests share round trips or each has its own: the answers are the same, on
// either stock. The requests are repeats, too many units, other payloads and more than
// there are, and come in one order.
func TestAnswersWithoutBatching(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	file, err := sqlite.Open(filepath.Join(t.TempDir(), "f.db"))
	if err != nil {
		t.Fatal(err)
	}
	server, err := redis.Open(redis.Config{URL: serverstest.Redis(t).URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = file.Close(), server.Close() })
	sale := func(id string) flashgate.Sale {
		now := time.Now()
		return flashgate.Sale{ID: flashgate.SaleID(id), Goods: "goods", Starts: now.Add(-time.Hour), Ends: now.Add(time.Hour), PerUser: 3, Seeded: 120, StockLeft: 120, Epoch: 1}
	}
	for _, c := range []struct {
		name  string
		stock flashgate.Stock
		open  func(flashgate.Sale) error
	}{
		{"sqlite", file, func(s flashgate.Sale) error { return file.CreateSale(ctx, s) }},
		{"redis", server, func(s flashgate.Sale) error {
			incarnation, err := server.Incarnation(ctx, s.ID)
			if err == nil {
				_, err = server.Open(ctx, incarnation, flashgate.Snapshot{Sale: s, Bound: 100})
			}
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got [2][]string
			for i, most := range []int{gate.MaxBatch, 1} {
				s := sale(fmt.Sprintf("%s-batching-%d-%d", c.name, most, time.Now().UnixNano()%1e9))
				if err := c.open(s); err != nil {
					t.Fatal(err)
				}
				got[i] = inOrder(t, c.stock, requests(s.ID), most)
			}
			if !slices.Equal(got[0], got[1]) {
				t.Errorf("together:\n%v\neach for itself:\n%v", got[0], got[1])
			}
			kinds := slices.Compact(slices.Sorted(slices.Values(kindsOf(got[0]))))
			if len(kinds) < 4 {
				t.Errorf("only %v were answered: this compares little", kinds)
			}
		})
	}
}

// requests are the same of every sale, but for the ids.
func requests(sale flashgate.SaleID) []flashgate.Reservation {
	random := rand.New(rand.NewPCG(1, 2))
	var rs []flashgate.Reservation
	for range 300 {
		if n := len(rs); n > 0 && random.IntN(5) == 0 { // again, or with another payload
			r := rs[random.IntN(n)]
			r.Units += random.IntN(2)
			rs = append(rs, r)
			continue
		}
		r := reservation(string(sale), fmt.Sprint("user-", random.IntN(80)))
		r.Units = 1 + random.IntN(3)
		rs = append(rs, r)
	}
	return rs
}

// inOrder has requests decided in their order: the first is held until all others wait.
func inOrder(t *testing.T, backing flashgate.Stock, rs []flashgate.Reservation, most int) []string {
	t.Helper()
	held := &stock{Stock: backing, enter: make(chan []flashgate.Reservation, len(rs)+1), resume: make(chan struct{}, len(rs)+1)}
	queue := publisher(func(context.Context, flashgate.Message) error { return nil })
	g := gate.New(gate.Config{Backend: backend{stock: held, publisher: queue}, MaxBatch: most, Timeout: time.Minute})
	sale := rs[0].Order.Sale()
	waiting := []<-chan result{reserve(t.Context(), g, rs[0])}
	<-held.enter
	for i, r := range rs[1:] {
		waiting = append(waiting, reserve(t.Context(), g, r))
		for gate.Queued(g, sale) != i+1 {
			runtime.Gosched()
		}
	}
	close(held.resume)
	index := map[flashgate.OrderID]int{}
	for i, r := range rs {
		if _, ok := index[r.Order]; !ok {
			index[r.Order] = i
		}
	}
	var out []string
	for _, w := range waiting {
		r := <-w
		prior := -1
		if r.got.Prior != "" {
			prior = index[r.got.Prior]
		}
		out = append(out, fmt.Sprintf("%d/%d/%v", r.got.Outcome, prior, flashgate.ErrorCode(r.err)))
	}
	if batches := len(held.enter) + 1; most == 1 && batches != len(rs) || most > 1 && batches > 5 {
		t.Errorf("%d requests went in %d calls", len(rs), batches)
	}
	return out
}

func kindsOf(answers []string) []string {
	var out []string
	for _, a := range answers {
		out = append(out, a[:1])
	}
	return out
}
