package challenge_test

import (
	"crypto/sha256"
	"strconv"
	"testing"
	"time"

	"flashgate/internal/challenge"
)

func TestProves(t *testing.T) {
	t.Parallel()
	const text, bits = "12.nonce.stamp", 12
	number := challenge.Prove(text, bits)
	if sum := sha256.Sum256([]byte(text + "." + number)); sum[0] != 0 || sum[1]>>4 != 0 {
		t.Errorf("the hash begins with %x", sum[:2])
	}
	if !challenge.Proves(text, number, bits) || !challenge.Proves(text, number, 0) {
		t.Error("a proof does not count")
	}
	for _, other := range []string{"", "-1", "+" + number, " " + number, number + " ", "0x1f", "1e3", "99999999999999999999", "000000000000000000000"} {
		if challenge.Proves(text, other, 0) {
			t.Errorf("%q counts as a number", other)
		}
	}
	if challenge.Proves("another", number, bits) && challenge.Proves("a third", number, bits) {
		t.Error("the proof counts for other texts")
	}
	// Of numbers that were not searched for, 1 in 4096 is a proof.
	hits := 0
	for n := range 40_960 {
		if challenge.Proves("text", strconv.Itoa(n), bits) {
			hits++
		}
	}
	if hits == 0 || hits > 30 {
		t.Errorf("%d of 40,960 numbers are proofs of 12 bits, want about 10", hits)
	}
}

func TestDifficultyFollowsTheLoad(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	d := challenge.Difficulty{Min: 16, Max: 20, Easy: 10, Now: func() time.Time { return now }}
	during := func(perSecond, seconds int) (bits int) {
		for range perSecond * seconds {
			now = now.Add(time.Second / time.Duration(perSecond))
			bits = d.Next()
		}
		return bits
	}
	for _, step := range []struct{ perSecond, want int }{{1, 16}, {9, 16}, {15, 17}, {35, 18}, {150, 20}, {3000, 20}, {2, 16}} {
		if got := during(step.perSecond, 40); got != step.want {
			t.Errorf("at %d a second: %d bits, want %d", step.perSecond, got, step.want)
		}
	}
	now = now.Add(-time.Hour) // a clock that is set back does no harm
	if got := d.Next(); got != 16 {
		t.Errorf("after the clock was set back: %d bits", got)
	}
}

func BenchmarkProves(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		challenge.Proves("20.abcdefghijklmnopqrstuv.abcdefghijklmnopqrstuvabcdefghijklmnopqrst", "1234567", 20)
	}
}

// FuzzProves: only decimal numbers of at most 20 digits are proofs, and fewer bits are
// never harder.
func FuzzProves(f *testing.F) {
	f.Add("text", "17", 0)
	f.Add("text", "-1", 3)
	f.Fuzz(func(t *testing.T, text, number string, bits int) {
		if !challenge.Proves(text, number, bits) {
			return
		}
		if n, err := strconv.ParseUint(number, 10, 64); err != nil || len(number) > challenge.MaxProof {
			t.Errorf("%q is a proof: %d, %v", number, n, err)
		}
		if !challenge.Proves(text, number, bits-1) {
			t.Errorf("%q proves %d bits and not %d", number, bits, bits-1)
		}
	})
}
