package mysql_test

import (
	"context"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/servers/serverstest"
)

// A connection that breaks at COMMIT leaves it open whether the transaction was done.
// What can find that out is done again by itself; what cannot says that it is not
// known, and never happens twice.
func TestBrokenAtCommit(t *testing.T) {
	t.Parallel()
	dsn := serverstest.Database(t)
	direct := openStore(t, dsn)
	for name, mode := range map[string]cut{"before": cutBefore, "after": cutAfter} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p := behindProxy(t, dsn)
			sale := createSale(t, direct, 100, 1)
			rs := reservations(sale, 5)
			breaking := func() { p.mode.Store(int32(mode)); p.commits.Store(0) }

			breaking()
			ds, err := s.Decide(t.Context(), sale, rs, time.Hour)
			if err != nil || p.commits.Load() != 2 {
				t.Fatalf("Decide: %v, with %d commits; want 2", err, p.commits.Load())
			}
			for _, d := range ds {
				if d.Status != flashgate.StatusPending || d.Seq != 1 || d.Duplicate != (mode == cutAfter) {
					t.Errorf("Decide gives %+v", d)
				}
			}
			breaking()
			if o, err := s.Cancel(t.Context(), rs[0].Order, rs[0].User); err != nil || o.Status != flashgate.StatusCancelled {
				t.Errorf("Cancel: %+v, %v", o, err)
			}
			breaking()
			if o, err := s.Pay(t.Context(), rs[1].Order, rs[1].User); err != nil || o.Status != flashgate.StatusPaid {
				t.Errorf("Pay: %+v, %v", o, err)
			}
			breaking()
			fence, err := s.DrawFence(t.Context(), sale)
			if err != nil {
				t.Errorf("DrawFence: %v", err)
			}
			breaking()
			if err := s.RecordFence(t.Context(), sale, fence); err != nil {
				t.Errorf("RecordFence: %v", err)
			}

			done := int64(0)
			if mode == cutAfter {
				done = 1
			}
			breaking()
			_, err = s.ChangeSale(t.Context(), sale, flashgate.SaleChange{Restock: 10})
			if flashgate.ErrorCode(err) != flashgate.CodeUnavailable || p.commits.Load() != 1 {
				t.Errorf("ChangeSale: %v, with %d commits; want unavailable after 1", err, p.commits.Load())
			}
			breaking()
			if _, err := s.RaiseEpoch(t.Context(), sale, 1); flashgate.ErrorCode(err) != flashgate.CodeUnavailable {
				t.Errorf("RaiseEpoch: %v, want unavailable", err)
			}
			now, err := direct.Sale(t.Context(), sale)
			if err != nil || now.Seeded != 100+10*done || now.Epoch != uint64(1+done) {
				t.Errorf("the sale is %+v, %v", now, err)
			}
			readLog(t, direct, sale, 100)
		})
	}
}

// What breaks again and again is given up, and says so.
func TestBrokenForGood(t *testing.T) {
	t.Parallel()
	dsn := serverstest.Database(t)
	direct := openStore(t, dsn)
	s, p := behindProxy(t, dsn)
	sale := createSale(t, direct, 100, 1)
	rs := reservations(sale, 5)
	for _, mode := range []cut{cutRefused, cutEvery} {
		p.mode.Store(int32(mode))
		if _, err := s.Decide(t.Context(), sale, rs, time.Hour); flashgate.ErrorCode(err) != flashgate.CodeUnavailable {
			t.Errorf("Decide: %v, want unavailable", err)
		}
	}
	p.mode.Store(int32(pass))
	ds, err := s.Decide(t.Context(), sale, rs, time.Hour)
	if err != nil || !ds[0].Duplicate {
		t.Errorf("Decide after all: %+v, %v", ds, err)
	}
	readLog(t, direct, sale, 100)
}

// A process whose machine vanishes in the middle of a transaction keeps the sale for
// less than a minute. Nobody closes its connection.
func TestVanishedClient(t *testing.T) {
	t.Parallel()
	dsn := serverstest.Database(t)
	direct := openStore(t, dsn)
	s, p := behindProxy(t, dsn+"&readTimeout=1s")
	sale := createSale(t, direct, 100, 1)
	p.mode.Store(int32(cutFrozen))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := s.Decide(ctx, sale, reservations(sale, 1), time.Hour); flashgate.ErrorCode(err) != flashgate.CodeUnavailable {
		t.Fatalf("Decide: %v, want unavailable", err)
	}
	begin := time.Now()
	for {
		_, err := direct.Decide(t.Context(), sale, reservations(sale, 1), time.Hour)
		if err == nil {
			break
		}
		if flashgate.ErrorCode(err) != flashgate.CodeUnavailable || time.Since(begin) > time.Minute {
			t.Fatalf("the sale is still locked after %v: %v", time.Since(begin), err)
		}
	}
	t.Logf("the sale went on after %v", time.Since(begin))
	readLog(t, direct, sale, 100)
}
