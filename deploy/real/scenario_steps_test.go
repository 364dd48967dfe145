package main_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"flashgate"
	"flashgate/deploy/chaos"
	"flashgate/deploy/contract"
	"flashgate/internal/failpoint"
	"flashgate/internal/fleet"
	"flashgate/internal/rabbitmq"

	"github.com/Shopify/toxiproxy/v2/stream"
	amqp "github.com/rabbitmq/amqp091-go"
)

// soon bounds what happens within a second when the machine is idle.
const soon = 30 * time.Second

// until polls. When it never happens the scene could not be set, or the site hangs: the
// text says what it means.
func (sc *scene) until(within time.Duration, ok func() bool, format string, args ...any) {
	sc.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); !ok(); <-tick.C {
		if time.Now().After(end) {
			sc.t.Fatalf(format, args...)
		}
	}
}

// customer is a new visitor with a path in hand.
func (sc *scene) customer() *customer {
	sc.t.Helper()
	b, err := sc.newBuyer(sc.t.Context(), sc.sale)
	must(sc.t, err)
	return &customer{buyer: b, journal: sc.journal, pulse: &sc.pulse}
}

// press presses once, at gateway 0 or 1.
func (sc *scene) press(c *customer, gateway int) chaos.Line {
	ctx, cancel := context.WithTimeout(sc.t.Context(), soon)
	defer cancel()
	c.try = gateway
	return c.press(ctx)
}

// pressing is press for a gateway that may not answer for a while.
func (sc *scene) pressing(c *customer, gateway int) <-chan chaos.Line {
	answer := make(chan chaos.Line, 1)
	go func() { answer <- sc.press(c, gateway) }()
	return answer
}

// accepted presses once and wants a 202.
func (sc *scene) accepted(c *customer, gateway int) {
	sc.t.Helper()
	if l := sc.press(c, gateway); l.Status != http.StatusAccepted {
		sc.t.Fatalf("a purchase was answered %d %s, want 202", l.Status, l.Code)
	}
}

// soldOut presses once where no unit is free.
func (sc *scene) soldOut(c *customer, gateway int, why string) {
	sc.t.Helper()
	if l := sc.press(c, gateway); l.Code != flashgate.CodeSoldOut {
		sc.t.Errorf("a purchase was answered %d %s, want sold_out: %s", l.Status, l.Code, why)
	}
}

// clear says whether an answer leaves nothing open.
func clear(l chaos.Line) bool {
	return l.Status > 0 && l.Status < 500 && l.Code != flashgate.CodeUnauthenticated
}

// insist repeats the same path at both gateways until the answer is clear.
func (sc *scene) insist(c *customer, within time.Duration) (l chaos.Line) {
	for end := time.Now().Add(within); time.Now().Before(end); c.try++ {
		if l = sc.press(c, c.try); clear(l) {
			return l
		}
		if l.Code == flashgate.CodeUnauthenticated {
			_ = sc.remember(c) // tried again while Redis is away
		}
		pause(sc.t.Context(), 50*time.Millisecond)
	}
	return l
}

// inTheEnd is insist with patience: no answer breaks P2.
func (sc *scene) inTheEnd(c *customer) chaos.Line {
	sc.t.Helper()
	l := sc.insist(c, soon)
	if !clear(l) {
		sc.t.Fatalf("P2: after %v a purchase still is not answered clearly: %d %s", soon, l.Status, l.Code)
	}
	return l
}

// remember gives Redis a session back that it has lost, so that the path stays good.
func (sc *scene) remember(c *customer) error {
	return sc.gate.CreateSession(sc.t.Context(), flashgate.Session{
		Key: c.member.Token.Key(), User: c.member.User, Role: flashgate.RoleCustomer, Created: time.Now(), Expires: time.Now().Add(time.Hour), Idle: time.Hour,
	})
}

// pay and cancel ask once.
func (sc *scene) order(c *customer, what string) chaos.Line {
	return c.ask(what, func(k int) (contract.Answer, error) {
		return c.clients[k].Do(sc.t.Context(), "POST", "/api/orders/"+string(c.minted.Order)+"/"+what, nil)
	})
}

// status waits for an order's row and returns its status, empty when there is none in
// time.
func (sc *scene) status(c *customer, within time.Duration, want ...string) (status string) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); time.Now().Before(end); <-tick.C {
		err := sc.books.db.QueryRowContext(sc.t.Context(), "SELECT status FROM orders WHERE id = ?", c.minted.Order).Scan(&status)
		if err != nil {
			continue
		}
		if len(want) == 0 {
			return status
		}
		for _, w := range want {
			if status == w {
				return status
			}
		}
	}
	return status
}

// applied waits until the gate has followed the log.
func (sc *scene) applied() {
	sc.t.Helper()
	sc.until(soon, func() bool {
		b, err := sc.sums()
		return err == nil && b.Applied == b.Seq && b.Held == 0
	}, "P4: the gate does not follow the log")
}

// freeze and thaw are kill -STOP and kill -CONT.
func (sc *scene) freeze(ps ...*fleet.Process) { sc.signal(syscall.SIGSTOP, ps) }
func (sc *scene) thaw(ps ...*fleet.Process)   { sc.signal(syscall.SIGCONT, ps) }

func (sc *scene) signal(s syscall.Signal, ps []*fleet.Process) {
	sc.t.Helper()
	for _, p := range ps {
		must(sc.t, p.Signal(s))
	}
}

// standsAt waits until one of the processes has come to an armed failpoint, disarms the
// others, and returns it.
func (sc *scene) standsAt(point failpoint.Name, ps ...*fleet.Process) *fleet.Process {
	sc.t.Helper()
	var p *fleet.Process
	sc.until(soon, func() bool { p = sc.struck(point, ps...); return p != nil }, "nobody has come to the place %s", point)
	sc.disarm(sc.t, point, ps...)
	return p
}

// diesAt is standsAt for a process that is killed there.
func (sc *scene) diesAt(point failpoint.Name, ps ...*fleet.Process) *fleet.Process {
	sc.t.Helper()
	p := sc.standsAt(point, ps...)
	<-p.Exited()
	return p
}

// other is the worker that is not p.
func (sc *scene) other(p *fleet.Process) *fleet.Process {
	if sc.Workers[0] == p {
		return sc.Workers[1]
	}
	return sc.Workers[0]
}

// empty lets Redis come back without its files.
func (sc *scene) empty() {
	sc.t.Helper()
	must(sc.t, sc.redis.Kill())
	sc.losses = append(sc.losses, time.Now())
	must(sc.t, sc.redis.Wipe())
	must(sc.t, sc.redis.Start())
}

// poison lets a toxic work on links until the returned function is called.
func (sc *scene) poison(ls []*link, kind string, direction stream.Direction, attributes map[string]int) (undo func()) {
	sc.t.Helper()
	var undos []func() error
	for _, l := range ls {
		u, err := l.poison(kind, direction, attributes)
		must(sc.t, err)
		undos = append(undos, u)
	}
	return func() {
		for _, u := range undos {
			must(sc.t, u())
		}
	}
}

// queue is the name of the sale's queue.
func (sc *scene) queue() string {
	h := fnv.New32a()
	h.Write([]byte(sc.sale))
	return fmt.Sprint("flashgate.orders.", h.Sum32()%rabbitmq.DefaultQueues)
}

// broker does something on an AMQP channel of the test's own.
func (sc *scene) broker(do func(*amqp.Channel) error) {
	sc.t.Helper()
	conn, err := amqp.Dial(sc.rabbit.URL())
	must(sc.t, err)
	defer conn.Close()
	ch, err := conn.Channel()
	must(sc.t, err)
	must(sc.t, do(ch))
}

// reservation is what a customer asks for.
func (c *customer) reservation() flashgate.Reservation {
	return flashgate.Reservation{Order: c.minted.Order, User: c.member.User, Units: 1, At: time.Now().UnixMilli()}
}

// publish puts a message into an exchange, as any publisher may that has the address.
func (sc *scene) publish(exchange, key string, rs ...flashgate.Reservation) {
	sc.t.Helper()
	body, err := flashgate.EncodeMessage(flashgate.NewMessage(sc.sale, 1, rs...))
	must(sc.t, err)
	sc.broker(func(ch *amqp.Channel) error {
		if err := ch.Confirm(false); err != nil {
			return err
		}
		confirm, err := ch.PublishWithDeferredConfirm(exchange, key, true, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: body})
		if err != nil {
			return err
		}
		if acked, err := confirm.WaitContext(sc.t.Context()); err != nil || !acked {
			return fmt.Errorf("not confirmed: %t, %w", acked, err)
		}
		return nil
	})
}

// publishOrders puts reservations into the sale's queue.
func (sc *scene) publishOrders(rs ...flashgate.Reservation) {
	sc.t.Helper()
	sc.publish("flashgate.orders", sc.queue(), rs...)
}

// command is an operator's orderworker, beside the site. Its failpoints are those of
// the folder; empty: none.
func (sc *scene) command(points string, args ...string) *exec.Cmd {
	w := sc.Workers[0]
	cmd := exec.Command(w.Program, args...)
	cmd.Dir = w.Dir
	for _, e := range w.Env {
		if !strings.HasPrefix(e, failpoint.Variable+"=") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	if points != "" {
		cmd.Env = append(cmd.Env, failpoint.Variable+"="+points)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// restart gives a process other arguments and another environment, until the scenario
// ends.
func (sc *scene) restart(p *fleet.Process, args, env []string) {
	sc.t.Helper()
	start := func(args, env []string) {
		must(sc.t, p.Kill())
		p.Args, p.Env = args, env
		must(sc.t, p.Launch())
	}
	args0, env0 := p.Args, p.Env
	sc.t.Cleanup(func() { start(args0, env0) }) // and mend waits for it
	start(args, env)
	must(sc.t, p.WaitReady(sc.t.Context()))
}
