package redis_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/redis"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// TestNeverOversold: two gateways, twenty times as many buyers as units, and a server
// that forgets its scripts in the middle of it.
func TestNeverOversold(t *testing.T) {
	t.Parallel()
	const units, buyers, batch = 100, 2000, 10
	url := serverstest.OwnRedis(t, servers.RedisConfig{}).URL()
	stores, raw := twoStores(t, url), rawClient(t, url)
	sale := newSale(units, 1)
	openSale(t, stores[0], sale)
	rs := reservations(sale.ID, buyers)
	var held, soldOut atomic.Int64
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	flushed := make(chan int)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			if err := raw.ScriptFlush(ctx).Err(); err != nil && ctx.Err() == nil {
				t.Errorf("SCRIPT FLUSH: %v", err)
			}
		}
		flushed <- n
	}()
	for i := range 20 {
		wg.Go(func() {
			for from := i * batch; from < buyers; from += 20 * batch {
				out, err := stores[i%2].Reserve(t.Context(), sale.ID, rs[from:from+batch])
				if err != nil {
					t.Errorf("Reserve: %v", err)
					return
				}
				for _, o := range out {
					switch o.Outcome {
					case flashgate.OutcomePublish:
						held.Add(1)
					case flashgate.OutcomeSoldOut:
						soldOut.Add(1)
					default:
						t.Errorf("outcome %d", o.Outcome)
					}
				}
			}
		})
	}
	wg.Wait()
	cancel()
	if n := <-flushed; n < 2 {
		t.Errorf("the scripts were flushed %d times", n)
	}
	if held.Load() != units || soldOut.Load() != buyers-units {
		t.Errorf("%d held, %d sold out; want %d, %d", held.Load(), soldOut.Load(), units, buyers-units)
	}
	wantView(t, stores[1], sale.ID, 0, units, "after the run")
	wantOutbox(t, stores[1], sale.ID, units, "after the run")
}

// TestOrderOfChecks: the first that refuses is the answer.
func TestOrderOfChecks(t *testing.T) {
	t.Parallel()
	s := newStore(t, serverstest.Redis(t).URL())
	user := newUser()
	for name, c := range map[string]struct {
		starts, ends time.Duration // from now
		left, bound  int64
		units        int // the user has 2 of 3
		want         flashgate.Outcome
	}{
		"the last units":             {-time.Hour, time.Hour, 1, 1, 1, flashgate.OutcomePublish},
		"not enough":                 {-time.Hour, time.Hour, 0, 9, 1, flashgate.OutcomeSoldOut},
		"over the limit":             {-time.Hour, time.Hour, 0, 9, 2, flashgate.OutcomeAlreadyBought},
		"too many outstanding":       {-time.Hour, time.Hour, 0, 1, 2, flashgate.OutcomeBusy},
		"ended":                      {-time.Hour, -time.Minute, 0, 1, 2, flashgate.OutcomeEnded},
		"not started":                {time.Minute, time.Hour, 0, 1, 2, flashgate.OutcomeNotStarted},
		"not started, all in order":  {time.Minute, time.Hour, 9, 9, 1, flashgate.OutcomeNotStarted},
		"ended before it has begun":  {time.Minute, -time.Minute, 9, 9, 1, flashgate.OutcomeEnded},
		"over the limit by one unit": {-time.Hour, time.Hour, 9, 9, 2, flashgate.OutcomeAlreadyBought},
	} {
		sale := newSale(20, 3)
		sale.Starts, sale.Ends = time.Now().Add(c.starts), time.Now().Add(c.ends)
		snapshot := snapshotOf(sale, 2, 7, c.left)
		snapshot.Bound = c.bound
		prior := reservation(sale.ID, user, 2)
		snapshot.Orders = []flashgate.SnapshotOrder{rowOf(prior, true)}
		open(t, s, snapshot)
		r := reservation(sale.ID, user, c.units)
		other := prior
		other.Units = 1
		out, err := s.Reserve(t.Context(), sale.ID, []flashgate.Reservation{r, prior, other})
		if err != nil {
			t.Fatal(err)
		}
		if out[0].Outcome != c.want {
			t.Errorf("%s: outcome %d, want %d", name, out[0].Outcome, c.want)
		}
		if bought := c.want == flashgate.OutcomeAlreadyBought; bought != (out[0].Prior == prior.Order) {
			t.Errorf("%s: the earlier order is %q", name, out[0].Prior)
		}
		if in := out[0].OpensIn; (c.want == flashgate.OutcomeNotStarted) != (in > 50*time.Second && in <= time.Minute) {
			t.Errorf("%s: opens in %v", name, in)
		}
		if in := out[0].EndsIn; (c.want == flashgate.OutcomeSoldOut) != (in > 59*time.Minute && in <= time.Hour) {
			t.Errorf("%s: ends in %v", name, in)
		}
		for i, o := range out {
			if o.Position() != (flashgate.Position{Epoch: 2, Applied: 7}) {
				t.Errorf("%s: answer %d is from %+v", name, i, o.Position())
			}
		}
		// Known ids come before everything.
		if out[1].Outcome != flashgate.OutcomeAccepted || out[2].Outcome != flashgate.OutcomeConflict {
			t.Errorf("%s: known ids: %+v", name, out[1:])
		}
	}
}

// TestLargeCalls are larger than what Lua's unpack takes.
func TestLargeCalls(t *testing.T) {
	t.Parallel()
	const n = 9000
	everywhere(t, func(t *testing.T, url string) {
		s := newStore(t, url)
		sale := newSale(n, 1)
		openSale(t, s, sale)
		rs := reservations(sale.ID, n)
		wantOutcome(t, s, flashgate.OutcomePublish, "new", rs...)
		wantOutcome(t, s, flashgate.OutcomePublish, "again", rs...)
		var again []flashgate.Reservation
		for _, r := range rs {
			again = append(again, reservation(sale.ID, r.User, 1))
		}
		out, err := s.Reserve(t.Context(), sale.ID, again)
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range out {
			if o.Outcome != flashgate.OutcomeAlreadyBought || o.Prior != rs[i].Order {
				t.Fatalf("reservation %d of a second order: %+v", i, o)
			}
		}
		wantView(t, s, sale.ID, 0, n, "reserved")
		if leased, err := s.Lease(t.Context(), sale.ID, 0, time.Microsecond, n); err != nil || len(leased) != n {
			t.Fatalf("%d leased, %v", len(leased), err)
		}
		wantOutbox(t, s, sale.ID, n, "after the lease")
		if err := s.Published(t.Context(), sale.ID, idsOf(rs)); err != nil {
			t.Fatal(err)
		}
		wantOutbox(t, s, sale.ID, 0, "published")
		wantOutcome(t, s, flashgate.OutcomeAccepted, "published", rs...)
		if waiting, err := s.Waiting(t.Context(), sale.ID, 0, n); err != nil || len(waiting) != n {
			t.Errorf("%d wait, %v", len(waiting), err)
		}
		if err := s.Requeue(t.Context(), sale.ID, idsOf(rs)); err != nil {
			t.Fatal(err)
		}
		wantOutbox(t, s, sale.ID, n, "requeued")
		apply(t, s, sale.ID, 1, entryOf(sale.ID, 1, flashgate.ChangePlaced, rs[:n-1000]...))
		if err := s.Settle(t.Context(), sale.ID, 1, idsOf(rs)); err != nil {
			t.Fatal(err)
		}
		wantView(t, s, sale.ID, 1000, 0, "settled")
		wantOutcome(t, s, flashgate.OutcomeAccepted, "decided", rs...)
	})
}

// TestLargeNumbers: a script counts exactly up to 2^53.
func TestLargeNumbers(t *testing.T) {
	t.Parallel()
	s := newStore(t, serverstest.Redis(t).URL())
	const free, epoch, seq = 1<<52 + 1, 1<<51 + 1, 1<<53 - 3
	sale := newSale(0, 1000)
	if got := open(t, s, snapshotOf(sale, epoch, seq, free)); got.Free != free {
		t.Errorf("opened with %+v", got)
	}
	r := reservation(sale.ID, newUser(), 1000)
	r.At = 1<<62 + 1
	out, err := s.Reserve(t.Context(), sale.ID, []flashgate.Reservation{r})
	if err != nil || out[0].Outcome != flashgate.OutcomePublish || out[0].Epoch != epoch {
		t.Errorf("reserved: %+v, %v", out, err)
	}
	wantHeld(t, s, r, true, "reserved")
	apply(t, s, sale.ID, seq+1, entryOf(sale.ID, seq+1, flashgate.ChangePlaced, r))
	if v := wantView(t, s, sale.ID, free-1000, 0, "placed"); v.Epoch != epoch || v.Applied != seq+1 {
		t.Errorf("the view is %+v", v)
	}
}

// nobody is an address at which nobody listens.
func nobody(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestNothingIsReservedWithoutAConnection: the caller can tell that nothing was sent.
func TestNothingIsReservedWithoutAConnection(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{
		"standalone": "redis://" + nobody(t),
		"sentinel":   "redis://" + nobody(t) + "," + nobody(t) + "?sentinel=main",
		"cluster":    "redis://" + nobody(t) + "," + nobody(t) + "?cluster=true",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, url)
			r := reservation("1", newUser(), 1)
			_, err := s.Reserve(t.Context(), "1", []flashgate.Reservation{r})
			wantCode(t, err, flashgate.CodeUnavailable, "Reserve")
			if !errors.Is(err, redis.ErrNotReserved) {
				t.Errorf("it is not said that nothing was sent: %v", err)
			}
			_, err = s.View(t.Context(), "1")
			wantCode(t, err, flashgate.CodeUnavailable, "View")
			_, _, err = s.Held(t.Context(), r.Order)
			wantCode(t, err, flashgate.CodeUnavailable, "Held")
		})
	}
}

// TestARefusedScriptReservesNothing: also where the server refuses at the first write.
func TestARefusedScriptReservesNothing(t *testing.T) {
	t.Parallel()
	for setting, values := range map[string][2]string{
		"maxmemory":             {"1", "0"},
		"min-replicas-to-write": {"1", "0"},
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			url := serverstest.OwnRedis(t, servers.RedisConfig{}).URL()
			s, raw := newStore(t, url), rawClient(t, url)
			sale := newSale(10, 1)
			openSale(t, s, sale)
			r := reservation(sale.ID, newUser(), 1)
			if err := raw.ConfigSet(t.Context(), setting, values[0]).Err(); err != nil {
				t.Fatal(err)
			}
			_, err := s.Reserve(t.Context(), sale.ID, []flashgate.Reservation{r})
			wantCode(t, err, flashgate.CodeUnavailable, setting)
			if !errors.Is(err, redis.ErrNotReserved) {
				t.Errorf("it is not said that nothing was reserved: %v", err)
			}
			if err := raw.ConfigSet(t.Context(), setting, values[1]).Err(); err != nil {
				t.Fatal(err)
			}
			wantHeld(t, s, r, false, "refused")
			wantView(t, s, sale.ID, 10, 0, "refused")
			wantOutcome(t, s, flashgate.OutcomePublish, "allowed again", r)
		})
	}
}

// TestALostReplyIsNotAFailure: the batch is sent once more and recognised.
func TestALostReplyIsNotAFailure(t *testing.T) {
	t.Parallel()
	p := newProxy(t, serverstest.Redis(t).Addr())
	s := newStore(t, p.URL())
	sale := newSale(10, 1)
	openSale(t, s, sale)
	rs := reservations(sale.ID, 4)
	wantOutcome(t, s, flashgate.OutcomePublish, "before", rs[3]) // so that the server has the script
	p.CutReply("evalsha")
	wantOutcome(t, s, flashgate.OutcomePublish, "the reply was lost", rs[:3]...)
	wantView(t, s, sale.ID, 6, 4, "after it")
	wantOutbox(t, s, sale.ID, 4, "after it")
}

// TestARefusalAfterALostReply: the first try may still be on its way, so that the
// second is refused says nothing.
func TestARefusalAfterALostReply(t *testing.T) {
	t.Parallel()
	p := newProxy(t, serverstest.Redis(t).Addr())
	s := newStore(t, p.URL())
	sale := newSale(1, 1)
	openSale(t, s, sale)
	rs := reservations(sale.ID, 3)
	wantOutcome(t, s, flashgate.OutcomePublish, "the only unit", rs[0])
	wantOutcome(t, s, flashgate.OutcomeSoldOut, "with its reply", rs[1])
	p.CutReply("evalsha")
	out, err := s.Reserve(t.Context(), sale.ID, []flashgate.Reservation{rs[0], rs[2]})
	if err != nil || out[0].Outcome != flashgate.OutcomePublish || out[1].Outcome != flashgate.OutcomeUnset {
		t.Errorf("after a lost reply: %+v, %v; want the held one recognised and the other without an answer", out, err)
	}
}

// TestWhatTheSecondTrySays: after a reply was lost, neither a server that is gone nor
// a sale that has closed since means that nothing was reserved.
func TestWhatTheSecondTrySays(t *testing.T) {
	t.Parallel()
	server := serverstest.Redis(t)
	raw := rawClient(t, server.URL())
	for name, between := range map[string]func(t *testing.T, sale flashgate.SaleID, in net.Listener){
		"gone": func(t *testing.T, _ flashgate.SaleID, in net.Listener) { _ = in.Close() },
		"closed": func(t *testing.T, sale flashgate.SaleID, _ net.Listener) {
			if err := raw.HSet(context.Background(), "flashgate:{"+string(sale)+"}:head", "incarnation", "another").Err(); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sale := newSale(10, 1)
			openSale(t, newStore(t, server.URL()), sale)
			r := reservation(sale.ID, newUser(), 1)
			front := losesReply(t, server.Addr(), func(in net.Listener) { between(t, sale.ID, in) })
			_, err := newStore(t, "redis://"+front).Reserve(t.Context(), sale.ID, []flashgate.Reservation{r})
			wantCode(t, err, flashgate.CodeUnavailable, "Reserve")
			if errors.Is(err, redis.ErrNotReserved) {
				t.Errorf("it says that nothing was reserved: %v", err)
			}
			if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
				t.Errorf("it looks as if nothing had been sent: %v", err)
			}
			wantHeld(t, newStore(t, server.URL()), r, true, "after it")
		})
	}
}

// losesReply passes the first connection on until the server has answered a
// reservation, calls between, and drops the answer with the connection. Further
// connections get through.
func losesReply(t *testing.T, target string, between func(net.Listener)) (addr string) {
	t.Helper()
	in, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for first := true; ; first = false {
			c, err := in.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				_ = c.Close()
				continue
			}
			wg.Go(func() {
				_, _ = io.Copy(out, c)
				_ = out.Close()
			})
			wg.Go(func() {
				if first {
					// The answer has five parts; what comes before, HELLO and NOSCRIPT, passes.
					buf := make([]byte, 4096)
					n, err := out.Read(buf)
					for err == nil && !bytes.HasPrefix(buf[:n], []byte("*5\r\n")) {
						_, _ = c.Write(buf[:n])
						n, err = out.Read(buf)
					}
					between(in)
				} else {
					_, _ = io.Copy(c, out)
				}
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = in.Close()
		wg.Wait()
	})
	return in.Addr().String()
}
