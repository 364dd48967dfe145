package conformance

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
)

// OneTimeFixture is what OneTime runs on. Stores are two views of one store, as two
// gateways have them; the same one twice when there is only one process.
type OneTimeFixture struct {
	Stores [2]flashgate.OneTime
}

// OneTime is the suite of flashgate.OneTime.
func OneTime(t *testing.T, open func(t *testing.T) OneTimeFixture) {
	run(t, open, []testCase[OneTimeFixture]{
		{name: "TakenOnce", run: oneTimeTakenOnce},
		{name: "Values", run: oneTimeValues},
		{name: "Replaced", run: oneTimeReplaced},
		{name: "Expires", run: oneTimeExpires},
		{name: "ReplacedLivesOn", run: oneTimeReplacedLivesOn},
		{name: "OneWinner", run: oneTimeOneWinner},
		{name: "Swap", run: oneTimeSwap},
		{name: "SwapValues", run: oneTimeSwapValues},
		{name: "SwapKeepsTheEnd", run: oneTimeSwapKeepsTheEnd},
		{name: "SwapOneWinner", run: oneTimeSwapOneWinner},
	})
}

func put(t testing.TB, s flashgate.OneTime, key string, value []byte, ttl time.Duration) {
	t.Helper()
	if err := s.Put(t.Context(), key, value, ttl); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

func wantTake(t testing.TB, s flashgate.OneTime, key string, want []byte, wantOK bool, what string) {
	t.Helper()
	got, ok, err := s.Take(t.Context(), key)
	if err != nil {
		t.Fatalf("Take: %v", err)
	}
	if ok != wantOK || ok && !bytes.Equal(got, want) {
		t.Errorf("%s: Take gives %q, %v; want %q, %v", what, got, ok, want, wantOK)
	}
}

func oneTimeTakenOnce(t *testing.T, f OneTimeFixture) {
	key, other := unique(), unique()
	wantTake(t, f.Stores[0], key, nil, false, "never put")
	put(t, f.Stores[0], key, []byte("17"), time.Hour)
	put(t, f.Stores[0], other, []byte("18"), time.Hour)
	wantTake(t, f.Stores[1], key, []byte("17"), true, "put")
	for i := range 4 {
		wantTake(t, f.Stores[i%2], key, nil, false, "taken")
	}
	wantTake(t, f.Stores[1], other, []byte("18"), true, "another key")
	put(t, f.Stores[1], key, []byte("19"), time.Hour)
	wantTake(t, f.Stores[0], key, []byte("19"), true, "put again")
}

func oneTimeValues(t *testing.T, f OneTimeFixture) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for _, value := range [][]byte{{}, {0}, every, bytes.Repeat(every, 16)} {
		key := unique() + " {:}\x00ä"
		put(t, f.Stores[0], key, value, time.Hour)
		wantTake(t, f.Stores[1], key, value, true, "any bytes")
	}
}

func oneTimeReplaced(t *testing.T, f OneTimeFixture) {
	key := unique()
	put(t, f.Stores[0], key, []byte("old"), time.Hour)
	put(t, f.Stores[1], key, []byte("new"), time.Hour)
	wantTake(t, f.Stores[0], key, []byte("new"), true, "replaced")
	wantTake(t, f.Stores[0], key, nil, false, "the older one")
}

// oneTimeExpires looks at each of many values once, at growing distance, because a
// look takes it.
func oneTimeExpires(t *testing.T, f OneTimeFixture) {
	const ttl = 300 * time.Millisecond
	waiting := make([]string, 60)
	made := make([]time.Time, len(waiting))
	for i := range waiting {
		waiting[i] = unique()
		made[i] = time.Now()
		put(t, f.Stores[0], waiting[i], []byte("v"), ttl)
	}
	tick := time.NewTicker(ttl / 5)
	defer tick.Stop()
	for i, key := range waiting {
		<-tick.C
		_, ok, err := f.Stores[i%2].Take(t.Context(), key)
		if err != nil {
			t.Fatalf("Take: %v", err)
		}
		if ok {
			continue
		}
		if since := time.Since(made[i]); since < ttl-5*time.Millisecond {
			t.Errorf("a value was over after %v, with a time to live of %v", since, ttl)
		}
		return
	}
	t.Fatalf("no value was over after %v, with a time to live of %v", time.Since(made[0]), ttl)
}

// oneTimeReplacedLivesOn: the time to live is that of the latest Put.
func oneTimeReplacedLivesOn(t *testing.T, f OneTimeFixture) {
	longer, shorter := unique(), unique()
	put(t, f.Stores[0], longer, []byte("old"), 20*time.Millisecond)
	put(t, f.Stores[0], longer, []byte("new"), time.Hour)
	put(t, f.Stores[0], shorter, []byte("old"), time.Hour)
	put(t, f.Stores[0], shorter, []byte("new"), 20*time.Millisecond)
	elapse(t, 200*time.Millisecond)
	wantTake(t, f.Stores[0], longer, []byte("new"), true, "put again for longer")
	wantTake(t, f.Stores[0], shorter, nil, false, "put again for a short time")
}

func oneTimeOneWinner(t *testing.T, f OneTimeFixture) {
	for range 10 {
		key := unique()
		put(t, f.Stores[0], key, []byte("v"), time.Hour)
		var winners atomic.Int32
		concurrently(50, func(i int) {
			value, ok, err := f.Stores[i%2].Take(t.Context(), key)
			if err != nil {
				t.Errorf("Take: %v", err)
			}
			if ok {
				winners.Add(1)
				if string(value) != "v" {
					t.Errorf("the winner got %q", value)
				}
			}
		})
		if n := winners.Load(); n != 1 {
			t.Errorf("%d of 50 have taken the value", n)
		}
	}
}
