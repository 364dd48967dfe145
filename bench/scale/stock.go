package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"flashgate"
	"flashgate/internal/redis"
	"flashgate/internal/servers"

	goredis "github.com/redis/go-redis/v9"
)

// batchSize is how many reservations travel together where the curve is about something
// else.
const batchSize = 64

// stock is a real Redis with the gate's own store in front of it, and a client that
// looks at what it costs.
type stock struct {
	server *servers.Redis
	store  *redis.Store
	raw    *goredis.Client
	keys   *flashgate.Keyring
	secret string // of keys
}

// openStock starts a Redis. sync is how often it syncs its file, as in
// servers.RedisConfig.
func openStock(sync string) (_ *stock, err error) {
	s := &stock{secret: flashgate.NewKey()}
	if s.keys, err = flashgate.ParseKeyring(s.secret); err != nil {
		return nil, err
	}
	if s.server, err = servers.StartRedis(servers.RedisConfig{Appendonly: sync}); err != nil {
		return nil, err
	}
	s.raw = s.server.Client()
	if s.store, err = redis.Open(redis.Config{URL: s.server.URL()}); err != nil {
		return nil, errors.Join(err, s.raw.Close(), s.server.Close())
	}
	return s, nil
}

func (s *stock) close() error {
	return errors.Join(s.store.Close(), s.raw.Close(), s.server.Close())
}

// open opens a sale of one unit a user, with room for all that it has, and with buyers
// whose orders were placed.
func (s *stock) open(ctx context.Context, id flashgate.SaleID, units int64, buyers int) error {
	now := time.Now().Truncate(time.Millisecond)
	snapshot := flashgate.Snapshot{Bound: flashgate.MaxStock, Sale: flashgate.Sale{
		ID: id, Goods: "goods", Starts: now.Add(-time.Hour), Ends: now.Add(24 * time.Hour),
		PerUser: 1, Seeded: units, StockLeft: units, Epoch: 1,
	}}
	for i := range buyers {
		r := s.reservation(id, userOf(i))
		snapshot.Orders = append(snapshot.Orders, flashgate.SnapshotOrder{Order: r.Order, User: r.User, Units: r.Units, Live: true})
	}
	incarnation, err := s.store.Incarnation(ctx, id)
	if err != nil {
		return err
	}
	_, err = s.store.Open(ctx, incarnation, snapshot)
	return err
}

// userOf is a user's id of the length of a telephone number.
func userOf(i int) flashgate.UserID {
	return flashgate.UserID(strconv.Itoa(13_000_000_000 + i))
}

// newcomers are users whom userOf does not have.
func newcomers(from, n int) (users []flashgate.UserID) {
	for i := range n {
		users = append(users, userOf(500_000_000+from+i))
	}
	return users
}

func (s *stock) reservation(sale flashgate.SaleID, user flashgate.UserID) flashgate.Reservation {
	now := time.Now()
	_, order := s.keys.Mint(flashgate.Claim{Sale: string(sale), User: string(user)}, now.Add(time.Hour))
	return flashgate.Reservation{Order: order, User: user, Units: 1, At: now.UnixMilli()}
}

func (s *stock) reservations(sale flashgate.SaleID, users []flashgate.UserID) []flashgate.Reservation {
	rs := make([]flashgate.Reservation, len(users))
	for i, user := range users {
		rs[i] = s.reservation(sale, user)
	}
	return rs
}

// reserve reserves a batch and counts the outcomes.
func (s *stock) reserve(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation) (took time.Duration, count map[flashgate.Outcome]int, err error) {
	begin := time.Now()
	out, err := s.store.Reserve(ctx, sale, rs)
	took = time.Since(begin)
	count = map[flashgate.Outcome]int{}
	for _, o := range out {
		count[o.Outcome]++
	}
	return took, count, err
}

// expect is an error unless all n outcomes are the one wanted.
func expect(count map[flashgate.Outcome]int, want flashgate.Outcome, n int) error {
	if count[want] != n {
		return fmt.Errorf("the stock answered %v, want %d times outcome %d", count, n, want)
	}
	return nil
}

func saleKey(sale flashgate.SaleID, name string) string {
	return "flashgate:{" + string(sale) + "}:" + name
}

// work is what Redis has done so far, as it counts itself.
type work struct {
	scripts int64         // that ran
	inside  time.Duration // in scripts
	cpu     time.Duration // of the whole server
	memory  int64         // bytes in use
}

func (w work) since(before work) work {
	return work{w.scripts - before.scripts, w.inside - before.inside, w.cpu - before.cpu, w.memory - before.memory}
}

func (s *stock) work(ctx context.Context) (w work, err error) {
	info := map[string]string{}
	for _, section := range []string{"commandstats", "cpu", "memory"} {
		text, err := s.raw.Info(ctx, section).Result()
		if err != nil {
			return w, err
		}
		for line := range strings.Lines(text) {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
				info[name] = value
			}
		}
	}
	for _, name := range []string{"cmdstat_evalsha", "cmdstat_eval"} {
		var calls, usec int64
		if value, ok := info[name]; ok {
			if _, err := fmt.Sscanf(value, "calls=%d,usec=%d,", &calls, &usec); err != nil {
				return w, fmt.Errorf("redis: INFO has %s:%s: %w", name, value, err)
			}
		}
		w.scripts += calls
		w.inside += time.Duration(usec) * time.Microsecond
	}
	for _, name := range []string{"used_cpu_sys", "used_cpu_user"} {
		seconds, err := strconv.ParseFloat(info[name], 64)
		if err != nil {
			return w, fmt.Errorf("redis: INFO has %s:%s: %w", name, info[name], err)
		}
		w.cpu += time.Duration(seconds * float64(time.Second))
	}
	w.memory, err = strconv.ParseInt(info["used_memory"], 10, 64)
	return w, err
}

// perUnit is a duration in microseconds, by n.
func perUnit(d time.Duration, n int) float64 {
	return float64(d) / float64(time.Microsecond) / float64(n)
}
