package conformance

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
)

func wantSwap(t testing.TB, s flashgate.OneTime, key, old, next, want string, wantOK bool, what string) {
	t.Helper()
	got, ok, err := s.CompareAndSwap(t.Context(), key, []byte(old), []byte(next))
	if err != nil {
		t.Fatalf("CompareAndSwap: %v", err)
	}
	if ok != wantOK || string(got) != want {
		t.Errorf("%s: CompareAndSwap gives %q, %v; want %q, %v", what, got, ok, want, wantOK)
	}
}

func oneTimeSwap(t *testing.T, f OneTimeFixture) {
	a, b := f.Stores[0], f.Stores[1]
	key, other := unique(), unique()
	wantSwap(t, a, key, "fresh", "used", "", false, "never put")
	wantTake(t, b, key, nil, false, "a swap of nothing")
	put(t, a, key, []byte("fresh"), time.Hour)
	put(t, a, other, []byte("fresh"), time.Hour)
	wantSwap(t, b, key, "used", "reply", "fresh", true, "another value")
	wantSwap(t, b, key, "fresh", "used", "fresh", true, "the value")
	wantSwap(t, a, key, "fresh", "used", "used", true, "sent again")
	wantSwap(t, a, key, "fresh", "other", "used", true, "the second")
	wantSwap(t, b, key, "used", "reply", "used", true, "on from there")
	wantTake(t, a, key, []byte("reply"), true, "after the swaps")
	wantSwap(t, b, key, "reply", "x", "", false, "taken")
	wantTake(t, b, other, []byte("fresh"), true, "another key")
}

func oneTimeSwapValues(t *testing.T, f OneTimeFixture) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	large := bytes.Repeat(every, 512) // twice what a guard keeps of an answer
	key := unique() + " {:}\x00ä"
	old := []byte{}
	put(t, f.Stores[0], key, old, time.Hour)
	wantSwap(t, f.Stores[0], key, "x", "y", "", true, "nothing is a value of its own")
	for i, next := range [][]byte{every, {0}, {}, large, []byte("end")} {
		before, ok, err := f.Stores[i%2].CompareAndSwap(t.Context(), key, old, next)
		if err != nil || !ok || !bytes.Equal(before, old) {
			t.Errorf("swap %d: %d bytes, %v, %v; want %d bytes", i, len(before), ok, err, len(old))
		}
		old = bytes.Clone(next)
		clear(next) // the store has a copy
	}
	wantTake(t, f.Stores[1], key, []byte("end"), true, "any bytes")
}

// oneTimeSwapKeepsTheEnd: what was swapped ends when the first value would have, neither
// later nor at once.
func oneTimeSwapKeepsTheEnd(t *testing.T, f OneTimeFixture) {
	const ttl = 400 * time.Millisecond
	key := unique()
	made := time.Now()
	put(t, f.Stores[0], key, []byte("0"), ttl)
	tick := time.NewTicker(ttl / 20)
	defer tick.Stop()
	for i := 0; ; i++ {
		before, ok, err := f.Stores[i%2].CompareAndSwap(t.Context(), key, []byte(fmt.Sprint(i)), []byte(fmt.Sprint(i+1)))
		if err != nil {
			t.Fatalf("CompareAndSwap: %v", err)
		}
		since := time.Since(made)
		switch {
		case ok && string(before) != fmt.Sprint(i):
			t.Fatalf("swap %d finds %q", i, before)
		case !ok && since < ttl-5*time.Millisecond:
			t.Fatalf("it was over after %v, with a time to live of %v", since, ttl)
		case !ok:
			wantTake(t, f.Stores[0], key, nil, false, "after its end")
			return
		case since > 10*ttl:
			t.Fatalf("it was not over after %v, with a time to live of %v", since, ttl)
		}
		<-tick.C
	}
}

func oneTimeSwapOneWinner(t *testing.T, f OneTimeFixture) {
	for range 10 {
		key := unique()
		put(t, f.Stores[0], key, []byte("fresh"), time.Hour)
		var winners atomic.Int32
		concurrently(50, func(i int) {
			mine := fmt.Sprint("used by ", i)
			before, ok, err := f.Stores[i%2].CompareAndSwap(t.Context(), key, []byte("fresh"), []byte(mine))
			if err != nil || !ok {
				t.Errorf("CompareAndSwap: %v, %v", ok, err)
			}
			if string(before) == "fresh" || string(before) == mine {
				winners.Add(1)
			}
		})
		if n := winners.Load(); n != 1 {
			t.Errorf("%d of 50 have swapped the value", n)
		}
	}
}
