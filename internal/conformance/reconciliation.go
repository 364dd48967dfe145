package conformance

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
)

// ReconciliationFixture is what Reconciliation runs on: a database whose gate lives
// elsewhere. Sale leaves a new sale in epoch 1.
type ReconciliationFixture struct {
	Database
	Log            flashgate.ChangeLog
	Reconciliation flashgate.Reconciliation
	// Reopen is as in DatabaseFixture.
	Reopen func(t testing.TB) ReconciliationFixture
}

// Reconciliation is the suite of flashgate.Reconciliation.
func Reconciliation(t *testing.T, open func(t *testing.T) ReconciliationFixture) {
	run(t, open, []testCase[ReconciliationFixture]{
		{name: "RaiseEpoch", run: raiseEpoch},
		{name: "RaiseEpochOfUnknown", run: raiseEpochOfUnknown},
		{name: "ConcurrentRaise", run: raiseEpochConcurrently},
		{name: "EpochInLog", run: raiseEpochInLog},
		{name: "Snapshot", run: snapshotOfAll},
		{name: "SnapshotOfMany", run: snapshotOfMany},
		{name: "SnapshotDead", run: snapshotDead},
		{name: "SnapshotIsOneMoment", run: snapshotIsOneMoment},
		{name: "Audits", run: audits},
		{name: "CancelledContext", run: reconciliationCancelledContext},
		{name: "Crash", run: reconciliationCrash, needs: func(f ReconciliationFixture) bool { return f.Reopen != nil }},
	})
}

// raise makes one call that must be answered.
func raise(t testing.TB, f ReconciliationFixture, sale flashgate.SaleID, from uint64) bool {
	t.Helper()
	raised, err := f.Reconciliation.RaiseEpoch(t.Context(), sale, from)
	if err != nil {
		t.Fatalf("RaiseEpoch: %v", err)
	}
	return raised
}

func snapshot(t testing.TB, f ReconciliationFixture, sale flashgate.SaleID) flashgate.Snapshot {
	t.Helper()
	s, err := f.Reconciliation.Snapshot(t.Context(), sale)
	if err != nil {
		t.Fatalf("Snapshot: %v", err)
	}
	return s
}

func raiseEpoch(t *testing.T, f ReconciliationFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	place(t, f.Database, sale.ID, unpaid, reservation(sale.ID, newUser(), 1))
	want := readSale(t, f.Sales, sale.ID)
	for _, c := range []struct {
		from   uint64
		raised bool
		epoch  uint64
	}{{2, false, 1}, {0, false, 1}, {1, true, 2}, {1, false, 2}, {3, false, 2}, {2, true, 3}, {2, false, 3}} {
		if raised := raise(t, f, sale.ID, c.from); raised != c.raised {
			t.Errorf("RaiseEpoch from %d says %v, want %v", c.from, raised, c.raised)
		}
		want.Epoch = c.epoch
		if got := readSale(t, f.Sales, sale.ID); got != want {
			t.Errorf("after RaiseEpoch from %d the sale is %+v, want %+v", c.from, got, want)
		}
	}
}

func raiseEpochOfUnknown(t *testing.T, f ReconciliationFixture) {
	sale := newSale(10, 1)
	for _, from := range []uint64{0, 1} {
		_, err := f.Reconciliation.RaiseEpoch(t.Context(), sale.ID, from)
		wantCode(t, err, flashgate.CodeNotFound, "RaiseEpoch of an unknown sale")
	}
	_, err := f.Reconciliation.Snapshot(t.Context(), sale.ID)
	wantCode(t, err, flashgate.CodeNotFound, "Snapshot of an unknown sale")
	_, err = f.Sales.Sale(t.Context(), sale.ID)
	wantCode(t, err, flashgate.CodeNotFound, "the sale after both")
}

// raiseEpochConcurrently: of all who saw the same epoch one goes on.
func raiseEpochConcurrently(t *testing.T, f ReconciliationFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	for from := range uint64(5) {
		from++
		var won atomic.Int32
		concurrently(16, func(int) {
			raised, err := f.Reconciliation.RaiseEpoch(t.Context(), sale.ID, from)
			if err != nil {
				t.Errorf("RaiseEpoch: %v", err)
			}
			if raised {
				won.Add(1)
			}
		})
		if n := won.Load(); n != 1 {
			t.Errorf("%d of 16 raised the epoch from %d, want 1", n, from)
		}
		if s := readSale(t, f.Sales, sale.ID); s.Epoch != from+1 {
			t.Fatalf("the epoch is %d, want %d", s.Epoch, from+1)
		}
	}
}

// raiseEpochInLog: an entry bears the epoch in which it was written.
func raiseEpochInLog(t *testing.T, f ReconciliationFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, 2)
	place(t, f.Database, sale.ID, unpaid, rs[0])
	raise(t, f, sale.ID, 1)
	place(t, f.Database, sale.ID, unpaid, rs[1])
	if _, err := f.Sales.ChangeSale(t.Context(), sale.ID, flashgate.SaleChange{Restock: 1}); err != nil {
		t.Fatalf("ChangeSale: %v", err)
	}
	raise(t, f, sale.ID, 2)
	cancel(t, f.Database, rs[0])
	es, err := f.Log.Entries(t.Context(), sale.ID, 0, 100)
	if err != nil {
		t.Fatalf("Entries: %v", err)
	}
	var epochs []uint64
	for _, e := range es {
		epochs = append(epochs, e.Epoch)
	}
	if !slices.Equal(epochs, []uint64{1, 2, 2, 3}) {
		t.Errorf("the entries are of epochs %v, want 1, 2, 2, 3", epochs)
	}
}

func snapshotOfAll(t *testing.T, f ReconciliationFixture) {
	sale := newSale(4, 2)
	f.Sale(t, sale)
	if s := snapshot(t, f, sale.ID); len(s.Orders)+len(s.Dead) != 0 || s.Sale != readSale(t, f.Sales, sale.ID) {
		t.Errorf("the snapshot of a new sale is %+v", s)
	}
	other := newSale(10, 1)
	f.Sale(t, other)
	place(t, f.Database, other.ID, unpaid, reservation(other.ID, newUser(), 1))
	pending, paid, gone := reservation(sale.ID, newUser(), 1), reservation(sale.ID, newUser(), 2), reservation(sale.ID, newUser(), 1)
	over, late := reservation(sale.ID, newUser(), 1), reservation(sale.ID, newUser(), 1)
	place(t, f.Database, sale.ID, unpaid, pending)
	place(t, f.Database, sale.ID, unpaid, paid)
	pay(t, f.Database, paid)
	place(t, f.Database, sale.ID, unpaid, gone)
	decide(t, f.Database, sale.ID, unpaid, over) // sold out
	cancel(t, f.Database, gone)
	raise(t, f, sale.ID, 1)
	place(t, f.Database, sale.ID, unpaid, late)
	s := snapshot(t, f, sale.ID)
	if want := readSale(t, f.Sales, sale.ID); s.Sale != want || s.Sale.Epoch != 2 {
		t.Errorf("the snapshot's sale is %+v, want %+v", s.Sale, want)
	}
	if s.Bound != 0 || len(s.Dead) != 0 {
		t.Errorf("the snapshot has bound %d and dead letters %v", s.Bound, s.Dead)
	}
	want := []flashgate.SnapshotOrder{
		{Order: pending.Order, User: pending.User, Units: 1, Live: true},
		{Order: paid.Order, User: paid.User, Units: 2, Live: true},
		{Order: gone.Order, User: gone.User, Units: 1},
		{Order: over.Order, User: over.User, Units: 1},
		{Order: late.Order, User: late.User, Units: 1, Live: true},
	}
	if !slices.Equal(s.Orders, want) {
		t.Errorf("the snapshot's orders are\n%+v, want\n%+v", s.Orders, want)
	}
}

// snapshotOfMany: every row, however many there are.
func snapshotOfMany(t *testing.T, f ReconciliationFixture) {
	const batches = 3
	sale := newSale(batches*flashgate.MaxMessageReservations, 1)
	f.Sale(t, sale)
	missing := map[flashgate.OrderID]int{}
	for batch := range batches {
		rs := reservations(sale.ID, flashgate.MaxMessageReservations)
		place(t, f.Database, sale.ID, unpaid, rs...)
		for _, r := range rs {
			missing[r.Order] = batch
		}
	}
	last := 0
	for i, o := range snapshot(t, f, sale.ID).Orders {
		batch, ok := missing[o.Order]
		if !ok || batch < last {
			t.Fatalf("order %d of the snapshot is of batch %d after one of %d, or not one of ours, or there twice", i, batch, last)
		}
		delete(missing, o.Order)
		last = batch
	}
	if len(missing) > 0 {
		t.Errorf("%d orders are not in the snapshot", len(missing))
	}
}

// snapshotDead: those that hold something at the gate, and no others.
func snapshotDead(t *testing.T, f ReconciliationFixture) {
	sale, other := newSale(10, 1), newSale(10, 1)
	f.Sale(t, sale)
	f.Sale(t, other)
	rs := reservations(sale.ID, 3)
	deadLetter(t, f.Database, rs[0])
	deadLetter(t, f.Database, reservation(other.ID, newUser(), 1))
	deadLetter(t, f.Database, rs[1])
	drop(t, f.Database, rs[1].Order)
	deadLetter(t, f.Database, rs[2])
	replay(t, f.Database, rs[2].Order)
	err := f.Ledger.DeadLetter(t.Context(), flashgate.DeadLetter{Order: flashgate.OrderID("unreadable." + unique()), Sale: sale.ID,
		Record: []byte("{"), Reason: flashgate.ReasonUnreadable, Detail: "cut off"})
	if err != nil {
		t.Fatalf("DeadLetter: %v", err)
	}
	s := snapshot(t, f, sale.ID)
	if !slices.Equal(s.Dead, []flashgate.OrderID{rs[0].Order}) {
		t.Errorf("the snapshot has dead letters %v, want that of %s alone", s.Dead, rs[0].Order)
	}
	if len(s.Orders) != 2 || s.Orders[0].Order != rs[1].Order || s.Orders[0].Live || s.Orders[1].Order != rs[2].Order || !s.Orders[1].Live {
		t.Errorf("the snapshot has orders %+v, want one dropped and one replayed", s.Orders)
	}
}

// snapshotIsOneMoment: while orders come and go, sale, orders and log agree.
func snapshotIsOneMoment(t *testing.T, f ReconciliationFixture) {
	const writers, rounds = 4, 15
	sale := newSale(30, 1)
	f.Sale(t, sale)
	var busy sync.WaitGroup
	var ended atomic.Bool
	for range writers {
		busy.Go(func() {
			for range rounds {
				rs := reservations(sale.ID, 6)
				ds, err := f.Ledger.Decide(t.Context(), sale.ID, rs, unpaid)
				if err != nil {
					t.Errorf("Decide: %v", err)
					return
				}
				for i, d := range ds {
					if d.Status != flashgate.StatusPending || i%6 == 5 {
						continue
					}
					if _, err := f.Orders.Cancel(t.Context(), d.Order, rs[i].User); err != nil {
						t.Errorf("Cancel: %v", err)
					}
				}
			}
		})
	}
	go func() { busy.Wait(); ended.Store(true) }()
	var taken []flashgate.Snapshot
	for !ended.Load() {
		taken = append(taken, snapshot(t, f, sale.ID))
	}
	busy.Wait()
	es, err := f.Log.Entries(t.Context(), sale.ID, 0, 100_000)
	if err != nil {
		t.Fatalf("Entries: %v", err)
	}
	for _, s := range append(taken, snapshot(t, f, sale.ID)) {
		wantSnapshot(t, s, es)
	}
}

// wantSnapshot compares a snapshot with what the log tells up to its seq.
func wantSnapshot(t testing.TB, s flashgate.Snapshot, es []flashgate.LogEntry) {
	t.Helper()
	live := map[flashgate.OrderID]bool{}
	for _, e := range es[:s.Sale.Seq] {
		for _, c := range e.Changes {
			live[c.Order] = c.Kind == flashgate.ChangePlaced
		}
	}
	var units int64
	for _, o := range s.Orders {
		if o.Live {
			units += int64(o.Units)
		}
		if was, ok := live[o.Order]; !ok || was != o.Live {
			t.Errorf("at seq %d the snapshot says live %v of an order, the log %v (known: %v)", s.Sale.Seq, o.Live, was, ok)
		}
	}
	if len(live) != len(s.Orders) {
		t.Errorf("at seq %d the snapshot has %d orders, the log %d", s.Sale.Seq, len(s.Orders), len(live))
	}
	if s.Sale.StockLeft+units != s.Sale.Seeded {
		t.Errorf("at seq %d the snapshot has stock left %d and %d live units of %d", s.Sale.Seq, s.Sale.StockLeft, units, s.Sale.Seeded)
	}
	if n := s.Sale.Seq; n > 0 && es[n-1].LeftAfter != s.Sale.StockLeft {
		t.Errorf("at seq %d the snapshot has stock left %d, the log %d", n, s.Sale.StockLeft, es[n-1].LeftAfter)
	}
}

func audit(t testing.TB, f ReconciliationFixture, a flashgate.Audit) {
	t.Helper()
	if err := f.Reconciliation.Audit(t.Context(), a); err != nil {
		t.Fatalf("Audit: %v", err)
	}
}

// auditsOf reads rows of one sale, or those of all that are ours.
func auditsOf(t testing.TB, f ReconciliationFixture, sale flashgate.SaleID, limit int, ours ...flashgate.SaleID) []flashgate.Audit {
	t.Helper()
	got, err := f.Reconciliation.Audits(t.Context(), sale, limit)
	if err != nil || len(got) > limit {
		t.Fatalf("Audits of at most %d: %d, %v", limit, len(got), err)
	}
	for i := range got {
		if since := time.Since(got[i].At).Abs(); since > time.Minute && slices.Contains(ours, got[i].Sale) {
			t.Errorf("an audit is of %v, not of the database's clock", got[i].At)
		}
		got[i].At = time.Time{}
	}
	return slices.DeleteFunc(got, func(a flashgate.Audit) bool { return !slices.Contains(ours, a.Sale) })
}

func audits(t *testing.T, f ReconciliationFixture) {
	a, b := newSale(10, 1).ID, newSale(10, 1).ID // no sale has to exist
	rows := []flashgate.Audit{
		{Sale: a, Epoch: 2, Action: "reconcile_started", Detail: "from epoch 1"},
		{Sale: b, Epoch: 7, Action: "reconcile_opened", Detail: "größer, 更大, \"quoted\" and 'so'"},
		{Sale: a, Epoch: 2, Action: "reconcile_opened", Detail: ""},
		{Sale: a, Epoch: 3, Action: "reconcile_started", Detail: "again"},
	}
	for _, row := range rows {
		row.At = time.Unix(1, 0) // not what counts
		audit(t, f, row)
	}
	for _, c := range []struct {
		sale  flashgate.SaleID
		limit int
		want  []flashgate.Audit
	}{
		{a, 100, []flashgate.Audit{rows[3], rows[2], rows[0]}},
		{a, 2, []flashgate.Audit{rows[3], rows[2]}},
		{b, 100, []flashgate.Audit{rows[1]}},
		{newSale(1, 1).ID, 100, nil},
		{"", 100_000, []flashgate.Audit{rows[3], rows[2], rows[1], rows[0]}},
	} {
		if got := auditsOf(t, f, c.sale, c.limit, a, b); !slices.Equal(got, c.want) {
			t.Errorf("Audits of %q, at most %d:\n%+v, want\n%+v", c.sale, c.limit, got, c.want)
		}
	}
	if got, err := f.Reconciliation.Audits(t.Context(), "", 2); err != nil || len(got) != 2 {
		t.Errorf("Audits of all, at most 2: %d, %v", len(got), err)
	}
}

// reconciliationCancelledContext: the epoch is raised or not, and the next call finds
// it.
func reconciliationCancelledContext(t *testing.T, f ReconciliationFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	_, err := f.Reconciliation.RaiseEpoch(cancelled(t), sale.ID, 1)
	wantCode(t, err, flashgate.CodeUnavailable, "RaiseEpoch with a context that has ended")
	_, err = f.Reconciliation.Snapshot(cancelled(t), sale.ID)
	wantCode(t, err, flashgate.CodeUnavailable, "Snapshot with a context that has ended")
	epoch := readSale(t, f.Sales, sale.ID).Epoch
	if epoch > 2 || !raise(t, f, sale.ID, epoch) {
		t.Errorf("the epoch is %d after one call that was cut short, and cannot be raised from there", epoch)
	}
}

func reconciliationCrash(t *testing.T, f ReconciliationFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	place(t, f.Database, sale.ID, unpaid, reservation(sale.ID, newUser(), 1))
	raise(t, f, sale.ID, 1)
	row := flashgate.Audit{Sale: sale.ID, Epoch: 2, Action: "reconcile_opened", Detail: "free 9"}
	audit(t, f, row)
	before := snapshot(t, f, sale.ID)
	f = f.Reopen(t)
	after := snapshot(t, f, sale.ID)
	if after.Sale != before.Sale || after.Sale.Epoch != 2 || !slices.Equal(after.Orders, before.Orders) {
		t.Errorf("the snapshot was %+v and is %+v", before, after)
	}
	if got := auditsOf(t, f, sale.ID, 10, sale.ID); !slices.Equal(got, []flashgate.Audit{row}) {
		t.Errorf("after the crash the audits are %+v", got)
	}
}
