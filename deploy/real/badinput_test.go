package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"os/exec"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"flashgate"
)

// TestBadInput puts in what is wrong, the way in which it would come: past the gateways
// into the order queues, by an operator's command, through the gateway. Whoever made the
// mistake is told so where they look, and what to do; nobody else notices.
func TestBadInput(t *testing.T) {
	s := startSite(t)
	b := &badInput{site: s, books: s.audit(t)}
	b.messages = s.newSale(t, "messages", 1000)
	b.changed = s.newSale(t, "changed", 10)
	b.loaded = s.newSale(t, "loaded", loadUnits)
	// What an unreadable message held is decided when the relay has found it, after ten
	// seconds at least. In the meantime there is the rest.
	var sent []*sentMessage
	for _, m := range badMessages {
		t.Run("message: "+m.name, func(t *testing.T) { sent = append(sent, b.send(t, m)) })
	}
	t.Run("message: an unknown sale", b.unknownSale)
	t.Run("windows and restocks", b.badChanges)
	t.Run("buyers", b.badBuyers)
	t.Run("reconcile under load", b.reconcileUnderLoad)
	for _, m := range sent {
		t.Run("outcome: "+m.name, func(t *testing.T) { b.outcome(t, m) })
	}
	if out := b.orderworker(t, "orders", "dead"); out.exit != 0 || !strings.Contains(out.stdout, "There are no dead letters.") {
		t.Errorf("after all were replayed or dropped: %+v", out)
	}
	for _, sale := range []flashgate.SaleID{b.messages, unknown, b.changed} {
		t.Logf("sale %s at rest: %+v", sale, b.books.quiet(t, sale))
	}
	if at := b.books.rest(t, b.loaded); at.Orders != loadUnits || at.SoldOut != 0 {
		t.Errorf("the sale under load: %+v, want %d orders, none rejected", at, loadUnits)
	}
	t.Run("replay after a reopening", b.replayAfterReopening)
}

type badInput struct {
	*site
	books                     *audit
	messages, changed, loaded flashgate.SaleID
}

// ran is a command that has ended.
type ran struct {
	exit           int
	stdout, stderr string
}

// orderworker runs a command as an operator does, with a worker's settings.
func (b *badInput) orderworker(t *testing.T, args ...string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	w := b.Workers[0]
	cmd := exec.CommandContext(ctx, w.Program, args...)
	cmd.Dir, cmd.Env = w.Dir, w.Env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended || ctx.Err() != nil {
		t.Fatalf("orderworker %s: %v", strings.Join(args, " "), err)
	}
	return ran{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// done is orderworker for a command that must succeed and say want.
func (b *badInput) done(t *testing.T, want string, args ...string) {
	t.Helper()
	if out := b.orderworker(t, args...); out.exit != 0 || !strings.Contains(out.stdout, want) {
		t.Errorf("orderworker %s: exit %d, %s%s; want %q", strings.Join(args, " "), out.exit, out.stdout, out.stderr, want)
	}
}

// refused is orderworker for a command that must fail, with one line that says all of want.
func (b *badInput) refused(t *testing.T, exit int, want []string, args ...string) {
	t.Helper()
	out := b.orderworker(t, args...)
	if out.exit != exit || out.stdout != "" || strings.Count(out.stderr, "\n") != 1 || !containsAll(out.stderr, want) {
		t.Errorf("orderworker %s: exit %d, stdout %q, stderr %q; want exit %d and one line with %q", strings.Join(args, " "), out.exit, out.stdout, out.stderr, exit, want)
	}
}

func containsAll(s string, want []string) bool {
	for _, w := range want {
		if !strings.Contains(s, w) {
			return false
		}
	}
	return true
}

// publish puts a body into the sale's queue as another program would: by the queue's
// name, which is worked out here from the rule that the documentation states.
func (b *badInput) publish(t *testing.T, sale flashgate.SaleID, body string) {
	t.Helper()
	c, err := amqp.Dial(b.rabbit.URL())
	must(t, err)
	defer c.Close()
	ch, err := c.Channel()
	must(t, err)
	must(t, ch.Confirm(false))
	h := fnv.New32a()
	h.Write([]byte(sale))
	queue := fmt.Sprint("flashgate.orders.", h.Sum32()%8)
	_, err = ch.QueueDeclarePassive(queue, true, false, false, false, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum})
	must(t, err)
	confirm, err := ch.PublishWithDeferredConfirmWithContext(t.Context(), "", queue, true, false, amqp.Publishing{
		ContentType: "application/json", DeliveryMode: amqp.Persistent, Body: []byte(body),
	})
	must(t, err)
	if acked, err := confirm.WaitContext(t.Context()); err != nil || !acked {
		t.Fatalf("the broker did not take the message: %v, %v", acked, err)
	}
}

// hold reserves at the gate, as a gateway does before it publishes.
func (b *badInput) hold(t *testing.T, sale flashgate.SaleID, buyers ...*buyer) (ids []flashgate.OrderID) {
	t.Helper()
	var rs []flashgate.Reservation
	for _, o := range buyers {
		rs = append(rs, flashgate.Reservation{Order: o.minted.Order, User: o.member.User, Units: 1, At: time.Now().UnixMilli()})
		ids = append(ids, o.minted.Order)
	}
	got, err := b.gate.Reserve(t.Context(), sale, rs)
	must(t, err)
	for i, r := range got {
		if r.Outcome != flashgate.OutcomePublish {
			t.Fatalf("reservation %d: %+v", i, r)
		}
	}
	return ids
}

// becomes waits for the last word on a buyer's order, as the buyer hears it.
func (b *badInput) becomes(t *testing.T, what string, o *buyer, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if got, err := o.decided(ctx, 0); err != nil || got != want {
		t.Errorf("%s: the order is %q, %v; want %q", what, got, err, want)
	}
}

// buys is a purchase through a gateway that must succeed.
func (b *badInput) buys(t *testing.T, what string, o *buyer) {
	t.Helper()
	a, err := o.clients[1].Buy(t.Context(), o.sale, o.minted.Path)
	if err != nil || a.Status != 202 {
		t.Errorf("%s buys: %s, %v", what, a, err)
		return
	}
	b.becomes(t, what, o, "pending")
}

// letter is a dead letter as `orders show --json` prints it.
type letter struct {
	Order     flashgate.OrderID `json:"order"`
	Sale      flashgate.SaleID  `json:"sale"`
	Reason    string            `json:"reason"`
	Detail    string            `json:"detail"`
	Record    string            `json:"record"`
	CreatedAt string            `json:"created_at"`
}

// letterOf waits for a dead letter and shows it to the operator.
func (b *badInput) letterOf(t *testing.T, id flashgate.OrderID) letter {
	t.Helper()
	eventually(t, "the dead letter "+string(id), func() bool {
		var n int
		err := b.books.db.QueryRowContext(t.Context(), "SELECT count(*) FROM dead_letter WHERE id = ?", id).Scan(&n)
		return err == nil && n == 1
	})
	out := b.orderworker(t, "orders", "show", string(id), "--json")
	var v struct {
		Status     flashgate.Status `json:"status"`
		DeadLetter letter           `json:"dead_letter"`
	}
	if err := json.Unmarshal([]byte(out.stdout), &v); err != nil || out.exit != 0 || v.Status != flashgate.StatusDeadLettered {
		t.Fatalf("orders show: exit %d, %v, %.500s%s", out.exit, err, out.stdout, out.stderr)
	}
	if text := b.orderworker(t, "orders", "show", string(id)); text.exit != 0 || len(text.stdout) > 4096 || !strings.Contains(text.stdout, v.DeadLetter.Reason) {
		t.Errorf("orders show: exit %d and %d bytes for people: %.500s", text.exit, len(text.stdout), text.stdout)
	}
	return v.DeadLetter
}
