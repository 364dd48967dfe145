package main

import (
	"context"
	"errors"

	goredis "github.com/redis/go-redis/v9"
)

// sources are where a sale is looked at besides the results file.
type sources struct {
	database *database
	redis    goredis.UniversalClient // nil: not looked at
	amqp     string                  // empty: not looked at
}

func openSources(o options) (*sources, error) {
	db, err := openDatabase(o)
	if err != nil {
		return nil, err
	}
	s := &sources{database: db, amqp: o.amqp}
	if o.redis != "" {
		if s.redis, err = openGate(o.redis); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

func (s *sources) close() error {
	err := s.database.Close()
	if s.redis != nil {
		err = errors.Join(err, s.redis.Close())
	}
	return err
}

// judge looks once. The servers are read one after the other: what happens in between
// is over when it looks again.
func (s *sources) judge(ctx context.Context, o options, res *results) ([]check, error) {
	b, err := s.database.read(ctx, o.sale)
	if err != nil {
		return nil, err
	}
	checks := judge(o, res, b)
	if s.redis != nil {
		g, err := readGate(ctx, s.redis, o.sale)
		if err != nil {
			return nil, err
		}
		checks = append(checks, judgeGate(g, b))
	}
	if s.amqp != "" {
		ds, err := readQueues(s.amqp)
		if err != nil {
			return nil, err
		}
		checks = append(checks, judgeQueues(ds))
	}
	return checks, nil
}
