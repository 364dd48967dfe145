package mysql_test

import (
	"math"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/servers/serverstest"
)

// A fence of an epoch that the sale has not reached is forged: recorded, it would be
// above all that are to come, and the sale could never be opened again.
func TestForgedFence(t *testing.T) {
	t.Parallel()
	s := openStore(t, serverstest.Database(t))
	now := time.Now()
	opened{s, ""}.sale(t, flashgate.Sale{ID: "fenced", Goods: "g", PerUser: 1, Starts: now, Ends: now.Add(time.Hour)})
	honest := flashgate.NewFence(1, 0)
	if err := s.RecordFence(t.Context(), "fenced", honest); err != nil {
		t.Fatal(err)
	}
	for _, forged := range []uint64{flashgate.FenceOf(2), math.MaxInt64, math.MaxUint64} {
		if err := s.RecordFence(t.Context(), "fenced", forged); flashgate.ErrorCode(err) != flashgate.CodeInvalid {
			t.Errorf("fence %d of a sale in epoch 1: %v, want invalid", forged, err)
		}
	}
	if got, err := s.Fenced(t.Context(), "fenced"); err != nil || got != honest {
		t.Errorf("fenced %d, %v; want %d", got, err, honest)
	}
	if raised, err := s.RaiseEpoch(t.Context(), "fenced", 1); err != nil || !raised {
		t.Fatal(raised, err)
	}
	if err := s.RecordFence(t.Context(), "fenced", flashgate.NewFence(2, honest)); err != nil {
		t.Errorf("a fence of the epoch that was raised: %v", err)
	}
}
