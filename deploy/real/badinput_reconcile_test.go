package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"flashgate"
)

// The sale that is reconciled under load: enough for some seconds of it.
const (
	loadBuyers = 1500
	loadUnits  = 1200
)

// reconcileUnderLoad: while several hundred buyers at once insist, operators reconcile
// the open sale again and again, two of them at the same time. That only looks.
func (b *badInput) reconcileUnderLoad(t *testing.T) {
	buyers := b.crowd(t, b.loaded, loadBuyers)
	before, err := b.database.Sale(t.Context(), b.loaded)
	must(t, err)
	audits := b.orderworker(t, "reconcile", "audit", string(b.loaded)).stdout
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	y := newTally(loadBuyers)
	done := make(chan struct{})
	go func() {
		defer close(done)
		each(buyers, 300, func(_ int, o *buyer) { o.insist(ctx, y) })
	}()
	var operators sync.WaitGroup
	looks := map[string]*looked{}
	for _, flags := range []string{"", "--dry-run", "--json", "--dry-run --json"} {
		l := &looked{}
		looks[flags] = l
		operators.Go(func() {
			for first := true; first || !closed(done); first = false {
				b.lookAt(t, l, before.Epoch, strings.Fields(flags))
			}
		})
	}
	operators.Wait()
	<-done
	for flags, l := range looks {
		t.Logf("reconcile %s: %d times, the sums compared %d times", flags, l.times, l.compared)
	}
	rows := b.books.rows(t, y.accepted)
	t.Logf("%d buyers for %d units: last words %v, %d repeats; rows of the ids with a 202: %v", loadBuyers, loadUnits, y.final, y.repeats, rows)
	if y.final["pending"] != loadUnits || y.final["sold_out"] != loadBuyers-loadUnits || rows["none"] != 0 {
		t.Errorf("the buyers' last words: %v, and rows %v; want %d orders", y.final, rows, loadUnits)
	}
	after, err := b.database.Sale(t.Context(), b.loaded)
	must(t, err)
	if now := b.orderworker(t, "reconcile", "audit", string(b.loaded)).stdout; after.Epoch != before.Epoch || now != audits {
		t.Errorf("reconciling an open sale has done something: epoch %d, was %d; audit\n%s\nwas\n%s", after.Epoch, before.Epoch, now, audits)
	}
	// At rest nothing keeps it from comparing.
	l := looked{}
	eventually(t, "the sums are compared at rest", func() bool {
		b.lookAt(t, &l, before.Epoch, []string{"--json"})
		return l.compared > 0 || t.Failed()
	})
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// looked counts looks.
type looked struct{ times, compared int }

// lookAt reconciles once, and reads what it says.
func (b *badInput) lookAt(t *testing.T, l *looked, epoch uint64, flags []string) {
	t.Helper()
	out := b.orderworker(t, append([]string{"reconcile", string(b.loaded)}, flags...)...)
	l.times++
	if out.exit != 0 || out.stderr != "" || !strings.Contains(out.stdout, "none, the gate is open") {
		t.Errorf("reconcile %v under load: exit %d\n%s%s", flags, out.exit, out.stdout, out.stderr)
		return
	}
	var got []struct {
		Sale                               flashgate.SaleID
		Action                             string
		Open, Compared, Ahead              bool
		Epoch                              uint64
		Seeded, Missing, Drift, Free, Held int64
		Stock                              int64 `json:"stock_left"`
		Live                               int64 `json:"live_units"`
	}
	if !slices.Contains(flags, "--json") {
		l.readTable(t, out.stdout)
		return
	}
	if err := json.Unmarshal([]byte(out.stdout), &got); err != nil || len(got) != 1 {
		t.Errorf("reconcile %v: %v\n%s", flags, err, out.stdout)
		return
	}
	g := got[0]
	if g.Sale != b.loaded || !g.Open || g.Epoch != epoch || g.Ahead || g.Missing != 0 || g.Drift != 0 || g.Seeded != g.Stock+g.Live {
		t.Errorf("a false report of an open sale: %+v", g)
	}
	if g.Compared {
		l.compared++
	} else if !strings.Contains(g.Action, "not compared") {
		t.Errorf("it has not compared the sums and does not say so: %+v", g)
	}
}

// readTable reads what is printed for people: no drift, or none that could be read.
func (l *looked) readTable(t *testing.T, out string) {
	t.Helper()
	names, row, _ := strings.Cut(out, "\n")
	i := slices.Index(strings.Fields(names), "DRIFT")
	cells := strings.Fields(row)
	if i < 0 || i >= len(cells) || cells[i] != "0" && cells[i] != "-" {
		t.Errorf("a false report of an open sale:\n%s", out)
		return
	}
	if cells[i] == "0" {
		l.compared++
	}
}

// replayAfterReopening: a sale vanishes from the database, as after a restore from the
// wrong backup, while the gate goes on selling. What was accepted becomes dead letters
// and stays held, through the sale's return, a restart of Redis with the reconciliation
// that follows, a close and a reopening, until each is replayed or dropped.
func (b *badInput) replayAfterReopening(t *testing.T) {
	const vanishing flashgate.SaleID = "vanishing"
	b.newSale(t, vanishing, 10)
	crowd := b.crowd(t, vanishing, 7)
	b.buys(t, "somebody, before", crowd[0])
	b.sql(t, "CREATE TABLE put_aside AS SELECT * FROM sale WHERE id = 'vanishing'")
	b.sql(t, "DELETE FROM sale WHERE id = 'vanishing'")
	dead := crowd[1:5]
	for i, o := range dead {
		if a, err := o.clients[i%2].Buy(t.Context(), vanishing, o.minted.Path); err != nil || a.Status != 202 {
			t.Fatalf("buying while the sale is not in the database: %s, %v", a, err)
		}
		b.becomes(t, "an order of a sale that has vanished", o, "dead_lettered unknown_sale")
	}
	b.refused(t, 1, []string{"There is no sale vanishing"}, "reconcile", string(vanishing))
	b.sql(t, "INSERT INTO sale SELECT * FROM put_aside")
	b.wantGate(t, vanishing, 5, 4, "after its return")

	must(t, b.redis.Stop())
	must(t, b.redis.Start())
	out := b.orderworker(t, "reconcile", string(vanishing))
	if out.exit != 0 || !strings.Contains(out.stdout, "opened the gate in epoch") {
		t.Errorf("reconcile after a restart of Redis: exit %d, %s%s", out.exit, out.stdout, out.stderr)
	}
	b.wantGate(t, vanishing, 5, 4, "after the reconciliation")
	b.done(t, "pending", "orders", "replay", string(dead[0].minted.Order))
	b.becomes(t, "replayed after the reconciliation", dead[0], "pending")
	b.done(t, "rejected  dropped", "orders", "drop", string(dead[1].minted.Order), "--yes")
	b.becomes(t, "dropped after the reconciliation", dead[1], "rejected dropped")
	b.wantGate(t, vanishing, 6, 2, "after a replay and a drop")

	b.done(t, "ended", "sale", "close", string(vanishing))
	b.done(t, "pending", "orders", "replay", string(dead[2].minted.Order)) // accepted while it was open
	b.becomes(t, "replayed while the sale was closed", dead[2], "pending")
	b.done(t, "open", "sale", "open", string(vanishing), "--for", "1h")
	b.wantGate(t, vanishing, 6, 1, "after it was opened again")
	b.done(t, "pending", "orders", "replay", string(dead[3].minted.Order))
	b.becomes(t, "replayed after it was opened again", dead[3], "pending")
	for _, o := range crowd[5:] {
		o.mint()
		b.buysSoon(t, "at the end", o)
	}
	dead[1].mint()
	b.buysSoon(t, "with a share that a drop gave back", dead[1])
	if at := b.books.quiet(t, vanishing); at.Orders != 7 || at.StockLeft != 3 {
		t.Errorf("at rest: %+v, want 7 orders and 3 units left", at)
	}
}

func (b *badInput) sql(t *testing.T, statement string) {
	t.Helper()
	_, err := b.books.db.ExecContext(t.Context(), statement)
	must(t, err)
}

// wantGate waits for what is free and held at the gate.
func (b *badInput) wantGate(t *testing.T, sale flashgate.SaleID, free, held int64, when string) {
	t.Helper()
	var last string
	defer func() {
		if t.Failed() {
			t.Log(last)
		}
	}()
	eventually(t, fmt.Sprintf("the gate has %d free and %d held %s", free, held, when), func() bool {
		v, err := b.gate.View(t.Context(), sale)
		last = fmt.Sprintf("the gate %s: %+v, %v", when, v, err)
		return err == nil && v.Open && v.Free == free && v.Held == held
	})
}
