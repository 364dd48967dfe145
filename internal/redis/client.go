package redis

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"flashgate"

	goredis "github.com/redis/go-redis/v9"
)

// Config is what Open needs.
type Config struct {
	// URL names the server or servers, with user, password and TLS as in
	//
	//	redis://user:password@host:6379/0
	//	rediss://host:6380                                       TLS
	//	redis://host1:26379,host2:26379?sentinel=mymaster        Sentinel
	//	redis://host1:7000,host2:7001,host3:7002?cluster=true    Cluster
	//
	// Further parameters: sentinel_user, sentinel_password, pool_size, and with
	// rediss tls_ca (a PEM file), tls_cert and tls_key (PEM files for a client
	// certificate), tls_server_name.
	URL string

	// Timeout bounds one call where the caller's context does not; default 2 s.
	Timeout time.Duration
	// SessionCache is how many sessions are kept locally; default 10,000, negative
	// for none.
	SessionCache int
}

// Store is a client of one Redis. It is safe for concurrent use.
type Store struct {
	cfg    Config
	client goredis.UniversalClient
}

// Open makes the client. It dials nobody: a server that is away shows in the first
// call. CodeInvalid names what is wrong with the URL, and never repeats a password.
func Open(cfg Config) (*Store, error) {
	if cfg.Timeout <= 0 {
		cfg.Timeout = flashgate.PublishWindow
	}
	opts, err := parseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	opts.DialTimeout, opts.ReadTimeout, opts.WriteTimeout = cfg.Timeout, cfg.Timeout, cfg.Timeout
	opts.PoolTimeout = cfg.Timeout
	opts.ContextTimeoutEnabled = true
	return &Store{cfg: cfg, client: goredis.NewUniversalClient(opts)}, nil
}

func parseURL(text string) (*goredis.UniversalOptions, error) {
	const op = "redis.Open"
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "redis" && u.Scheme != "rediss" {
		return nil, flashgate.Invalid(op, "redis", "is not a URL such as redis://user:password@host:6379/0")
	}
	opts := &goredis.UniversalOptions{Addrs: strings.Split(u.Host, ",")}
	// Parameters, TLS and database: see the Config comment.
	return opts, nil
}

// Close ends the connections.
func (s *Store) Close() error { return s.client.Close() }

// Check asks every shard for a sign of life.
func (s *Store) Check(ctx context.Context) error {
	if err := s.client.Ping(ctx).Err(); err != nil {
		return unavailable("redis.Check", err)
	}
	return nil
}

// unavailable wraps what the server, the net or the context said; an
// *flashgate.Error passes as it is.
func unavailable(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*flashgate.Error](err); ok {
		return err
	}
	return &flashgate.Error{Code: flashgate.CodeUnavailable, Op: op, RetryAfter: time.Second, Err: fmt.Errorf("redis: %w", err)}
}
