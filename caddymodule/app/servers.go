package app

import (
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// serverLines are the lines `redis` and `rabbitmq` of a Caddyfile, and where they
// stand.
type serverLines struct {
	redis    *Redis
	rabbit   *RabbitMQ
	redisAt  caddyfile.Dispenser
	rabbitAt caddyfile.Dispenser
}

func (s *serverLines) parseRedis(d *caddyfile.Dispenser) (err error) {
	s.redisAt, s.redis = *d, new(Redis)
	if s.redis.URL, err = parseURL(d, checkRedisURL); err != nil {
		return err
	}
	return ParseBlock(d, "redis", Option{Name: "session_cache", Parse: func() error {
		text, err := OneArg(d)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxSessionCache {
			return d.Errf("session_cache must be a number between 0 and %d", maxSessionCache)
		}
		s.redis.SessionCache = &n
		return nil
	}})
}

func (s *serverLines) parseRabbit(d *caddyfile.Dispenser) (err error) {
	s.rabbitAt, s.rabbit = *d, new(RabbitMQ)
	if s.rabbit.URL, err = parseURL(d, checkRabbitURL); err != nil {
		return err
	}
	if nesting := d.Nesting(); d.NextBlock(nesting) {
		return d.Errf("unknown option %s of rabbitmq: it has none", d.Val())
	}
	return nil
}

func parseURL(d *caddyfile.Dispenser, check func(string) error) (string, error) {
	value, err := OneArg(d)
	if err != nil {
		return "", err
	}
	// What a placeholder stands for is judged when the configuration is loaded.
	if !strings.Contains(value, "{") {
		if err := check(value); err != nil {
			return "", d.WrapErr(err)
		}
	}
	return value, nil
}

// expand writes the lines as backends. State goes to Redis with the stock, unless the
// block says otherwise.
func (s *serverLines) expand(a *App) error {
	switch {
	case s.redis != nil && s.rabbit == nil:
		return s.redisAt.WrapErr(errNoQueue)
	case s.redis == nil && s.rabbit != nil:
		return s.rabbitAt.WrapErr(errNoStock)
	case s.redis == nil:
		return nil
	case a.Keys == "":
		return s.redisAt.WrapErr(errNoKeys)
	}
	a.StockRaw = caddyconfig.JSONModuleObject(s.redis, "backend", "redis", nil)
	a.QueueRaw = caddyconfig.JSONModuleObject(s.rabbit, "backend", "rabbitmq", nil)
	if a.StateRaw == nil {
		a.StateRaw = caddyconfig.JSONModuleObject(RedisState{URL: s.redis.URL}, "backend", "redis", nil)
	}
	return nil
}
