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

// Stage is the first step of Open.
func (s *Store) Stage(ctx context.Context, key string, rows []flashgate.SnapshotOrder) (int, error) {
	return s.stage(ctx, key, rows)
}

// OpenStaged is the last step of Open.
func (s *Store) OpenStaged(ctx context.Context, incarnation, staged string, fields int, snapshot flashgate.Snapshot) (flashgate.Opened, error) {
	return s.open(ctx, "redis.Open", incarnation, "token", staged, fields, snapshot)
}
