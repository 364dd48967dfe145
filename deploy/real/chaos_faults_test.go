package main_test

import (
	"context"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"flashgate/internal/fleet"
)

// misfortune is one kind of fault; how often it is drawn, compared with the others.
type misfortune struct {
	name   string
	weight int
	hit    func(t *testing.T, r *rand.Rand)
}

// upTo is a random time.
func upTo(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }

// breakThings brings one misfortune after the other until ctx ends, and leaves
// everything running.
func (s *site) breakThings(t *testing.T, ctx context.Context, r *rand.Rand) tallyOf {
	t.Helper()
	kinds := s.misfortunes()
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	hits := tallyOf{}
	older := copyOf(t, s.redis)
	for ctx.Err() == nil {
		pause(ctx, time.Second+upTo(r, time.Second))
		if ctx.Err() != nil {
			break
		}
		n := r.IntN(total + 1)
		if n == total { // now and then the files of Redis are put back
			hits["Redis set back"]++
			putBack(t, s.redis, older)
			continue
		}
		for _, k := range kinds {
			if n -= k.weight; n < 0 {
				hits[k.name]++
				k.hit(t, r)
				break
			}
		}
		if r.IntN(4) == 0 {
			older = copyOf(t, s.redis)
		}
	}
	return hits
}

func (s *site) misfortunes() []misfortune {
	killed := func(p *fleet.Process) func(*testing.T, *rand.Rand) {
		return func(t *testing.T, r *rand.Rand) {
			must(t, p.Kill())
			pause(t.Context(), upTo(r, time.Second))
			must(t, p.Launch())
		}
	}
	frozen := func(p *fleet.Process, longest time.Duration) func(*testing.T, *rand.Rand) {
		return func(t *testing.T, r *rand.Rand) {
			must(t, p.Signal(syscall.SIGSTOP))
			pause(t.Context(), upTo(r, longest))
			must(t, p.Signal(syscall.SIGCONT))
		}
	}
	steps := func(down, up func() error, longest time.Duration) func(*testing.T, *rand.Rand) {
		return func(t *testing.T, r *rand.Rand) {
			must(t, down())
			pause(t.Context(), upTo(r, longest))
			must(t, up())
		}
	}
	return []misfortune{
		{"gateway 1 killed", 3, killed(s.Gateways[0])},
		{"gateway 2 killed", 3, killed(s.Gateways[1])},
		{"gateway frozen", 2, frozen(s.Gateways[0], 5*time.Second)}, // also for longer than D
		{"worker 1 killed", 3, killed(s.Workers[0])},
		{"worker 2 killed", 3, killed(s.Workers[1])},
		{"worker frozen", 2, frozen(s.Workers[0], 7*time.Second)}, // also across a takeover
		{"shop killed", 2, killed(s.Shop)},
		{"Redis killed", 3, steps(s.redis.Kill, s.redis.Start, time.Second)},
		{"Redis frozen", 2, steps(s.redis.Pause, s.redis.Resume, 4*time.Second)},
		{"Redis emptied", 2, func(t *testing.T, r *rand.Rand) {
			must(t, s.redis.Kill())
			must(t, s.redis.Wipe())
			must(t, s.redis.Start())
		}},
		{"MariaDB killed", 3, steps(s.maria.Kill, s.maria.Start, time.Second)},
		{"MariaDB frozen", 1, steps(s.maria.Pause, s.maria.Resume, 4*time.Second)},
		{"RabbitMQ stopped", 1, steps(s.rabbit.Stop, s.rabbit.Start, time.Second)},
		{"RabbitMQ frozen", 2, steps(s.rabbit.Pause, s.rabbit.Resume, 4*time.Second)},
	}
}
