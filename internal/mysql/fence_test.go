package mysql_test

import (
	"math"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/servers/serverstest"
)

// A fence that nobody has drawn is forged: recorded, it would be above all that are to
// come, and the sale would be opened without waiting for its queue.
func TestForgedFence(t *testing.T) {
	t.Parallel()
	s := openStore(t, serverstest.Database(t))
	now := time.Now()
	opened{s, ""}.sale(t, flashgate.Sale{ID: "fenced", Goods: "g", PerUser: 1, Starts: now, Ends: now.Add(time.Hour)})
	honest, err := s.DrawFence(t.Context(), "fenced")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RecordFence(t.Context(), "fenced", honest); err != nil {
		t.Fatal(err)
	}
	for _, forged := range []uint64{honest + 1, 1 << 33, math.MaxInt64, math.MaxUint64} {
		if err := s.RecordFence(t.Context(), "fenced", forged); flashgate.ErrorCode(err) != flashgate.CodeInvalid {
			t.Errorf("fence %d where %d is the newest: %v, want invalid", forged, honest, err)
		}
	}
	if got, err := s.Fenced(t.Context(), "fenced"); err != nil || got != honest {
		t.Errorf("fenced %d, %v; want %d", got, err, honest)
	}
	if next, err := s.DrawFence(t.Context(), "fenced"); err != nil || next != honest+1 {
		t.Errorf("drew %d, %v; want the number after %d", next, err, honest)
	}
}
