package main_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2/stream"
)

// poisonAll lets a toxic work on several links, and returns what ends that.
func (c *campaign) poisonAll(t *testing.T, ls []*link, kind string, direction stream.Direction, attributes map[string]int) (mend func()) {
	t.Helper()
	var undo []func() error
	for _, l := range ls {
		u, err := l.poison(kind, direction, attributes)
		must(t, err)
		c.count.link(strings.Replace(kind, "timeout", "black hole", 1))
		undo = append(undo, u)
	}
	return func() {
		t.Helper()
		for _, u := range undo {
			must(t, u())
		}
	}
}

// linkFault is one way to break one link.
type linkFault struct {
	name string
	hit  func(ctx context.Context, l *link, r *rand.Rand) error
}

func linkFaults() []linkFault {
	toxic := func(kind string, longest time.Duration, attributes func(*rand.Rand) map[string]int) func(context.Context, *link, *rand.Rand) error {
		return func(ctx context.Context, l *link, r *rand.Rand) error {
			direction := []stream.Direction{fromServer, toServer}[r.IntN(2)]
			mend, err := l.poison(kind, direction, attributes(r))
			if err != nil {
				return err
			}
			pause(ctx, longest/3+upTo(r, longest))
			return mend()
		}
	}
	none := func(*rand.Rand) map[string]int { return nil }
	return []linkFault{
		{"latency", toxic("latency", 2*time.Second, func(r *rand.Rand) map[string]int {
			return map[string]int{"latency": 20 + r.IntN(400), "jitter": r.IntN(200)}
		})},
		{"black hole", toxic("timeout", 2*time.Second, none)},
		{"reset", toxic("reset_peer", 500*time.Millisecond, none)},
		{"slicing", toxic("slicer", 2*time.Second, func(r *rand.Rand) map[string]int {
			return map[string]int{"average_size": 1 + r.IntN(64), "size_variation": 0, "delay": r.IntN(200)}
		})},
		{"closed after some bytes", toxic("limit_data", time.Second, func(r *rand.Rand) map[string]int {
			return map[string]int{"bytes": 1 + r.IntN(4096)}
		})},
		{"cut", func(_ context.Context, l *link, _ *rand.Rand) error { return l.cut() }},
		{"cut between publish and confirm", func(ctx context.Context, l *link, r *rand.Rand) error {
			// What is published arrives; its confirm does not, and then the connection goes.
			mend, err := l.poison("timeout", fromServer, nil)
			if err != nil {
				return err
			}
			pause(ctx, upTo(r, 500*time.Millisecond))
			return mend() // which closes it
		}},
	}
}

// breakLinks breaks one link after the other until ctx ends.
func (c *campaign) breakLinks(ctx context.Context, r *rand.Rand) error {
	faults := linkFaults()
	var deck, links []int
	for ctx.Err() == nil {
		pause(ctx, 300*time.Millisecond+upTo(r, time.Second))
		if ctx.Err() != nil {
			break
		}
		if len(deck) == 0 { // each kind comes once before one comes again
			deck = r.Perm(len(faults))
		}
		if len(links) == 0 {
			links = r.Perm(len(c.breakable))
		}
		f, l := faults[deck[0]], c.breakable[links[0]]
		deck, links = deck[1:], links[1:]
		if f.name == "cut between publish and confirm" {
			gateways := c.links.of("gateway", toRabbitMQ)
			l = gateways[r.IntN(len(gateways))]
		}
		if err := f.hit(ctx, l, r); err != nil {
			return err
		}
		c.count.link(f.name)
	}
	return nil
}
