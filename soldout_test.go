package flashgate_test

import (
	"testing"

	"flashgate"
)

func TestPositionBefore(t *testing.T) {
	t.Parallel()
	// In order, each before all that follow.
	order := []flashgate.Position{{}, {Applied: 1}, {Epoch: 1}, {Epoch: 1, Applied: 7}, {Epoch: 2}, {Epoch: 2, Applied: 6}, {Epoch: 2, Applied: 7}}
	for i, p := range order {
		for j, q := range order {
			if p.Before(q) != (i < j) {
				t.Errorf("%+v before %+v: %t", p, q, p.Before(q))
			}
		}
	}
	if at := (flashgate.Reserved{Epoch: 2, Applied: 7}).Position(); at != order[6] {
		t.Errorf("an answer of epoch 2 and seq 7 is at %+v", at)
	}
}
