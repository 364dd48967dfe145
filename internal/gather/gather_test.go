package gather_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"flashgate/internal/gather"
)

// What comes while a batch is under way travels in the next one, in order and bounded; a
// lone call waits for nobody.
func TestGathering(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		inFlight int
		cost     func(int) int
		want     [][]int
	}{
		{name: "one in flight", want: [][]int{{1}, {2, 3, 4}, {5, 6}}},
		{name: "two in flight", inFlight: 2, want: [][]int{{1}, {2}, {3, 4, 5}, {6}}},
		{name: "by cost", cost: func(n int) int { return n }, want: [][]int{{1}, {2}, {3}, {4}, {5}, {6}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var got [][]int
				leave := make(chan struct{})
				g := gather.New(gather.Config[int]{Most: 3, InFlight: c.inFlight, Cost: c.cost, Run: func(batch []int) {
					mu.Lock()
					got = append(got, batch)
					mu.Unlock()
					<-leave
				}})
				for i := range 6 {
					g.Join(i + 1)
					synctest.Wait() // each is taken that can be
				}
				if want := max(1, c.inFlight); len(got) != want {
					t.Errorf("%d are under way, want %d", len(got), want)
				}
				for range c.want {
					leave <- struct{}{}
					synctest.Wait()
				}
				if !slices.EqualFunc(got, c.want, slices.Equal) {
					t.Errorf("got %v, want %v", got, c.want)
				}
			})
		})
	}
}
