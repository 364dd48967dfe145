package main_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/fleet"
	"flashgate/internal/mysql"
	"flashgate/internal/rabbitmq"
	"flashgate/internal/redis"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
	"flashgate/orderworker/worker"
)

// program is this example, built once.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "orderevents")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "orderevents")
	code := 1
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s%v\n", out, err)
	} else {
		code = serverstest.Closing(m).Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(90 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("it never happened: %s", what)
		}
	}
}

// pause waits a little, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// shop is what makes events: two workers on a database, a gate and a broker, and buyers.
type shop struct {
	broker    *servers.RabbitMQ
	gate      *redis.Store
	database  *mysql.Store
	plain     *sql.DB
	publisher *rabbitmq.Publisher
	keys      *flashgate.Keyring
	users     atomic.Int64
}

// unsure is a database whose commit is lost now and then after events were sent: it
// has them sent again.
type unsure struct {
	*mysql.Store
	calls atomic.Int64
}

func (u *unsure) Deliver(ctx context.Context, max int, send func(context.Context, []flashgate.Event) error) (int, error) {
	return u.Store.Deliver(ctx, max, func(ctx context.Context, es []flashgate.Event) error {
		if err := send(ctx, es); err != nil {
			return err
		}
		if u.calls.Add(1)%9 == 0 {
			return errors.New("the commit was lost")
		}
		return nil
	})
}

const orderTTL = 3 * time.Second

func openShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{broker: serverstest.OwnRabbitMQ(t)}
	var err error
	s.keys, err = flashgate.ParseKeyring(flashgate.NewKey())
	must(t, err)
	dsn := serverstest.Database(t)
	s.database, err = mysql.Open(mysql.Config{DSN: dsn})
	must(t, err)
	t.Cleanup(func() { must(t, s.database.Close()) })
	must(t, s.database.Migrate(t.Context()))
	s.plain, err = sql.Open("mysql", dsn)
	must(t, err)
	t.Cleanup(func() { must(t, s.plain.Close()) })
	s.gate, err = redis.Open(redis.Config{URL: serverstest.Redis(t).URL()})
	must(t, err)
	t.Cleanup(func() { must(t, s.gate.Close()) })
	s.publisher = s.openPublisher(t)
	return s
}

func (s *shop) queue() rabbitmq.Config { return rabbitmq.Config{URL: s.broker.URL(), Queues: 2} }

func (s *shop) openPublisher(t *testing.T) *rabbitmq.Publisher {
	t.Helper()
	p, err := rabbitmq.OpenPublisher(s.queue())
	must(t, err)
	t.Cleanup(func() { must(t, p.Close()) })
	return p
}

// work runs a worker until the test ends.
func (s *shop) work(t *testing.T) {
	t.Helper()
	consumer, err := rabbitmq.OpenConsumer(s.queue())
	must(t, err)
	t.Cleanup(func() { must(t, consumer.Close()) })
	w, err := worker.New(worker.Config{Consumer: consumer, Ledger: s.database, OrderTTL: orderTTL, Gate: &worker.GateConfig{
		Stock: s.gate, Log: s.database, Fences: s.database, Sales: s.database, Orders: s.database, Reconciliation: s.database,
		Publisher: s.openPublisher(t), Events: &unsure{Store: s.database}, Window: 300 * time.Millisecond,
	}})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-done)
	})
}

func (s *shop) newSale(t *testing.T, units int64) flashgate.SaleID {
	t.Helper()
	id := flashgate.SaleID("e" + flashgate.NewKey()[:12])
	must(t, s.database.CreateSale(t.Context(), flashgate.Sale{
		ID: id, Goods: "g", FlashPrice: 100, PerUser: 1, Seeded: units, Starts: time.Now().Add(-time.Hour), Ends: time.Now().Add(time.Hour),
	}))
	eventually(t, "the gate opens", func() bool {
		v, err := s.gate.View(t.Context(), id)
		return err == nil && v.Open
	})
	return id
}

// buys lets one customer after the other buy, pay, cancel, or do nothing until the order
// expires; one of eight orders twice, as a gate would let them that had lost its state.
func (s *shop) buys(ctx context.Context, sale flashgate.SaleID, n *atomic.Int64) {
	var fates sync.WaitGroup
	defer fates.Wait()
	for ctx.Err() == nil {
		i := s.users.Add(1)
		user := flashgate.UserID(fmt.Sprint("user", i))
		order, ok := s.reserve(ctx, sale, user)
		if ok {
			n.Add(1)
			fates.Go(func() { s.fate(ctx, order, user, i%4) })
		}
		if ok && i%8 == 0 {
			_ = s.publisher.Publish(ctx, flashgate.NewMessage(sale, 2, s.reservation(sale, user)))
		}
		pause(ctx, 30*time.Millisecond)
	}
}

func (s *shop) reservation(sale flashgate.SaleID, user flashgate.UserID) flashgate.Reservation {
	_, order := s.keys.Mint(flashgate.Claim{Sale: string(sale), User: string(user)}, time.Now().Add(time.Hour))
	return flashgate.Reservation{Order: order, User: user, Units: 1, At: time.Now().UnixMilli()}
}

// reserve is a gateway's work. What it does not get through is the relay's.
func (s *shop) reserve(ctx context.Context, sale flashgate.SaleID, user flashgate.UserID) (flashgate.OrderID, bool) {
	r := s.reservation(sale, user)
	out, err := s.gate.Reserve(ctx, sale, []flashgate.Reservation{r})
	if err != nil || out[0].Outcome != flashgate.OutcomePublish {
		return "", false
	}
	within, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if s.publisher.Publish(within, flashgate.NewMessage(sale, out[0].Epoch, r)) == nil {
		_ = s.gate.Published(within, sale, []flashgate.OrderID{r.Order})
	}
	return r.Order, true
}

// fate is what the buyer does with an order once it is placed.
func (s *shop) fate(ctx context.Context, order flashgate.OrderID, user flashgate.UserID, kind int64) {
	for ctx.Err() == nil {
		if _, err := s.database.Order(ctx, order); err == nil {
			break
		}
		pause(ctx, 50*time.Millisecond)
	}
	switch kind {
	case 0, 1:
		_, _ = s.database.Pay(ctx, order, user)
	case 2:
		_, _ = s.database.Cancel(ctx, order, user)
	}
}

// example is the program under test, which is killed and started again.
type example struct {
	*fleet.Process
	file string
	out  output
}

// output counts what the program prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) count(s string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Count(o.text.String(), s)
}

func newExample(t *testing.T, url string, args ...string) *example {
	t.Helper()
	x := &example{file: filepath.Join(t.TempDir(), "orders.db")}
	x.Process = &fleet.Process{Name: "orderevents", Program: program, Args: append(args, "-file", x.file), Env: []string{"AMQP_URL=" + url}, Output: &x.out}
	t.Cleanup(func() {
		must(t, x.Kill())
		if t.Failed() {
			tail := x.Tail()
			t.Log(tail[max(0, len(tail)-1000):])
		}
	})
	return x
}

// handled is how many events it has handled by now.
func (x *example) handled(t *testing.T) (n int) {
	t.Helper()
	must(t, x.read(t).QueryRowContext(t.Context(), "SELECT COUNT(*) FROM handled").Scan(&n))
	return n
}

// read opens its file, without changing it.
func (x *example) read(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+x.file+"?mode=ro&_pragma=busy_timeout(5000)")
	must(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// works waits until it handles events.
func (x *example) works(t *testing.T) {
	t.Helper()
	before := x.out.count("order.")
	eventually(t, "the example handles events", func() bool { return x.out.count("order.") > before+3 })
}

func upTo(d time.Duration) time.Duration { return rand.N(d) }
