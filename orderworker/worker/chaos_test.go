package worker_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// gateway buys for one user after the other until ctx ends, and returns what it has
// promised with a 202.
func (r *gateRig) gateway(ctx context.Context, id flashgate.SaleID, name string) (all, promised []flashgate.Reservation) {
	for n := 0; ctx.Err() == nil; n++ {
		user := flashgate.UserID(fmt.Sprint(name, ".", n))
		_, order := keys.Mint(flashgate.Claim{Sale: string(id), User: string(user)}, time.Now().Add(time.Minute))
		res := flashgate.Reservation{Order: order, User: user, Units: 1, At: time.Now().UnixMilli()}
		all = append(all, res)
		if r.promise(res) {
			promised = append(promised, res)
			r.sold.Add(1)
			continue
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return all, promised
}

// promise is a gateway's work on one order. It publishes within D, or not at all.
func (r *gateRig) promise(res flashgate.Reservation) bool {
	ctx, cancel := context.WithTimeout(context.Background(), window)
	defer cancel()
	id := res.Order.Sale()
	out, err := r.gate.Reserve(ctx, id, []flashgate.Reservation{res})
	if err != nil || out[0].Outcome != flashgate.OutcomePublish {
		return false
	}
	if r.publisher.Publish(ctx, flashgate.NewMessage(id, out[0].Epoch, res)) != nil {
		return false
	}
	// Lost, this is what the relay is for.
	_ = r.gate.Published(ctx, id, []flashgate.OrderID{res.Order})
	return true
}

// Gateways sell while workers come and go and Redis loses everything, twice. Every
// order that was promised is there once, and no unit is lost.
func TestWorkersComeAndGo(t *testing.T) {
	t.Parallel()
	own := serverstest.OwnRedis(t, servers.RedisConfig{})
	r := newGateRig(t, own, serverstest.Database(t))
	w := r.work(nil)
	id := r.newSale(1_000_000)
	r.opens(id, 2)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	var all, promised []flashgate.Reservation
	var gateways sync.WaitGroup
	for g := range 3 {
		gateways.Go(func() {
			a, p := r.gateway(ctx, id, fmt.Sprint("g", g))
			mu.Lock()
			defer mu.Unlock()
			all, promised = append(all, a...), append(promised, p...)
		})
	}
	sells := func() {
		before := r.sold.Load()
		r.eventually("something is sold", func() bool { return r.sold.Load() >= before+50 })
	}
	for round := range uint64(2) {
		sells()
		// A worker that has taken part in it stops in the middle of a reconciliation.
		next := r.work(nil)
		wipe(t, own)
		r.eventually("the epoch is raised", func() bool {
			s, err := r.database.Sale(t.Context(), id)
			return err == nil && s.Epoch >= 3+round
		})
		w.stop()
		w = next
		r.opens(id, 3+round)
	}
	sells()
	cancel()
	gateways.Wait()
	for _, res := range all {
		r.users[id] = append(r.users[id], res.User)
	}
	for _, res := range promised {
		r.turns(res, "pending")
	}
	r.quiet(id)
}
