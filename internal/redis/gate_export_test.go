package redis

import (
	"context"

	"flashgate"

	goredis "github.com/redis/go-redis/v9"
)

// RunAll runs scripts on one key in one round trip.
func (s *Store) RunAll(ctx context.Context, key string, sources ...string) []*goredis.Cmd {
	var calls []call
	for _, src := range sources {
		calls = append(calls, call{script{goredis.NewScript(src)}, []string{key}, nil})
	}
	return runAll(ctx, s.client, calls)
}

// Shut makes an open sale one that was opened in another life of the server.
func (s *Store) Shut(ctx context.Context, sale flashgate.SaleID) error {
	const shut = "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'incarnation', 'another') end return 1"
	return s.client.Eval(ctx, shut, []string{saleKey(sale, "head")}).Err()
}

// Staging is an opening between its steps.
type Staging struct {
	*opening
	next *state
}

// Stage takes the first steps of Open.
func (s *Store) Stage(ctx context.Context, incarnation string, snapshot flashgate.Snapshot) (*Staging, error) {
	o := s.newOpening("redis.Open", incarnation, snapshot)
	now, err := o.begin(ctx)
	if err != nil {
		return nil, err
	}
	survivors, err := o.survivors(ctx)
	if err != nil {
		return nil, err
	}
	next := nextState(snapshot, survivors, now)
	return &Staging{o, next}, o.stage(ctx, next)
}

// Keys are those that hold what is staged, and the mark.
func (s *Staging) Keys() []string { return []string{s.buyers, s.held, s.outbox, s.mark} }

// Finish takes the last step.
func (s *Staging) Finish(ctx context.Context) (flashgate.Opened, error) { return s.finish(ctx, s.next) }
