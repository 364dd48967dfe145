package main_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"flashgate/deploy/chaos"
	"flashgate/internal/failpoint"
)

// counts are what the campaign did, and how the demo took it.
type counts struct {
	mu         sync.Mutex
	faults     chaos.Tally
	kills      chaos.Tally  // by how the process was killed
	points     chaos.Tally  // failpoints hit
	strange    chaos.Tally  // answers that no customer may get
	unknown    atomic.Int64 // 504s
	recoveries []time.Duration
}

func (k *counts) add(into *chaos.Tally, name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if *into == nil {
		*into = chaos.Tally{}
	}
	(*into)[name]++
}

func (k *counts) fault(name string)           { k.add(&k.faults, name) }
func (k *counts) killed(how string)           { k.add(&k.kills, how) }
func (k *counts) struck(point failpoint.Name) { k.add(&k.points, string(point)) }
func (k *counts) odd(answer string)           { k.add(&k.strange, answer) }

// percentile of the recovery times.
func (k *counts) percentile(p int) time.Duration {
	if len(k.recoveries) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(k.recoveries))
	return sorted[min(len(sorted)-1, len(sorted)*p/100)].Round(time.Millisecond)
}

// duplicates adds up how many orders the worker found decided already. A process that
// dies takes with it what grew since the last look, so the sum is too small if anything.
type duplicates struct {
	url        string // of the worker's metrics
	sum, since float64
}

var duplicatesTotal = regexp.MustCompile(`(?m)^flashgate_worker_duplicates_total (\S+)$`)

// look is to be called while the demo is up.
func (d *duplicates) look(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	m := duplicatesTotal.FindSubmatch(body)
	if m == nil {
		return fmt.Errorf("%s: no count of duplicates: %.200q", d.url, body)
	}
	n, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		return err
	}
	d.sum += n - d.since
	d.since = n
	return nil
}

// restarted says that the counter begins at 0 again.
func (d *duplicates) restarted() { d.since = 0 }
