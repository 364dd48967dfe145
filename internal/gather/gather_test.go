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
		name   string
		atOnce int
		cost   func(int) int
		lone   int // how many find room at once
		want   [][]int
	}{
		{name: "one at once", lone: 1, want: [][]int{{1}, {2, 3, 4}, {5, 6}}},
		{name: "two at once", atOnce: 2, lone: 2, want: [][]int{{1}, {2}, {3, 4, 5}, {6}}},
		{name: "by cost", cost: func(n int) int { return n }, lone: 1, want: [][]int{{1}, {2}, {3}, {4}, {5}, {6}}},
		{name: "by cost, three at once", atOnce: 3, cost: func(n int) int { return n }, lone: 2, want: [][]int{{1}, {2}, {3}, {4}, {5}, {6}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var got [][]int
				leave := make(chan struct{})
				g := gather.New(gather.Config[int]{Most: 3, AtOnce: c.atOnce, Cost: c.cost, Run: func(batch []int) {
					mu.Lock()
					got = append(got, batch)
					mu.Unlock()
					<-leave
				}})
				for i := range 6 {
					g.Join(i + 1)
					synctest.Wait() // each is taken that can be
				}
				if len(got) != c.lone {
					t.Errorf("%d are under way, want %d", len(got), c.lone)
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
