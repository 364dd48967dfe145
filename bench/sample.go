package main

import (
	"context"
	"errors"
	"time"

	"flashgate/internal/servers"
)

// samplePlan is what one sample is driven by.
type samplePlan struct {
	orders *orders // nil for a row that sells nothing
	script string
}

// plan is the group's own, or for a row at half speed one with pauses and a sale of its own:
// with n connections that rest for t between two requests n/t are sent in a second, as long
// as the answers take much less than t.
func (b *bench) plan(s *server, g *groupResult, shared *orders, script string) (*samplePlan, error) {
	if s.row.halfOf == "" {
		if shared == nil {
			return &samplePlan{nil, script}, nil
		}
		own := *shared // each row probes for itself
		return &samplePlan{&own, script}, nil
	}
	whole := g.row(s.row.halfOf)
	if len(whole.Samples) == 0 {
		return nil, errors.New("nothing can be half of what was not measured")
	}
	rate := whole.Samples[len(whole.Samples)-1].PerSecond / 2
	pause := time.Duration(float64(b.connections(s.group)) / rate * float64(time.Second))
	own, paused, err := b.newOrders(s.group, shared.sale+"h", b.each(s.group), pause)
	return &samplePlan{own, paused}, err
}

// sample measures one row once, and fails when the answers are not those of the row.
func (b *bench) sample(ctx context.Context, s *server, p *samplePlan) (sample, error) {
	if err := s.prepare(ctx, p.orders); err != nil {
		return sample{}, err
	}
	if err := s.check(ctx); err != nil {
		return sample{}, err
	}
	before, err := s.usage(ctx)
	if err != nil {
		return sample{}, err
	}
	l, err := b.runLoad(ctx, s.url, p.script, b.connections(s.group), b.each(s.group))
	if err != nil {
		return sample{}, err
	}
	late, err := s.drain(ctx)
	if err != nil {
		return sample{}, err
	}
	after, err := s.usage(ctx)
	if err != nil {
		return sample{}, err
	}
	commands := after.commands - before.commands - 1 // INFO itself
	switch err := errors.Join(check(l, s.refused(), s.row.leaks, s.size()), s.check(ctx), s.checkSold(ctx, l, b.connections(s.group))); {
	case err != nil:
		return sample{}, err
	case s.row.redis && !s.row.quiet && commands < 1:
		return sample{}, errors.New("row with Redis: it was not asked")
	}
	if err := s.forget(); err != nil {
		return sample{}, err
	}
	n, seconds := float64(l.Requests), float64(l.Microseconds)/1e6+late.Seconds()
	each := func(used, earlier time.Duration) float64 { return (used - earlier).Seconds() * 1e6 / n }
	m := sample{
		Requests: l.Requests, Seconds: seconds, PerSecond: n / seconds, P50: l.P50, P99: l.P99, Drain: late.Seconds(),
		ServerCPU: each(after.server, before.server), LoadCPU: l.CPU.Seconds() * 1e6 / n,
		RedisCPU: each(after.redis, before.redis), QueueCPU: each(after.queue, before.queue),
		DatabaseCPU: each(after.database, before.database), WorkerCPU: each(after.worker, before.worker),
	}
	if s.row.redis {
		m.RedisCommands = float64(max(commands, 0)) / n
	}
	return m, nil
}

// usage is what the processes of a server have used so far.
type usage struct {
	server, redis, queue, database, worker time.Duration
	commands                               int64
}

func (s *server) usage(ctx context.Context) (u usage, err error) {
	if u.server, err = s.cpu(); err != nil {
		return u, err
	}
	if u.worker, err = s.worker.cpu(); err != nil {
		return u, err
	}
	if s.redis != nil {
		if u.redis, err = cpuOf(s.redis.Processes()); err != nil {
			return u, err
		}
		if u.commands, err = s.redisCommands(ctx); err != nil {
			return u, err
		}
	}
	if s.row.queue {
		if u.queue, err = cpuOf(s.shared.rabbit.Processes()); err != nil {
			return u, err
		}
	}
	if s.row.places() {
		u.database, err = cpuOf(s.shared.maria.Processes())
	}
	return u, err
}

func cpuOf(all []servers.Process) (sum time.Duration, err error) {
	for _, p := range all {
		used, err := cpuTime(p.PID)
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}
