package redis

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"flashgate"
	"flashgate/internal/ratelimit"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Defaults of Config.
const (
	DefaultTimeout      = flashgate.PublishWindow
	DefaultSessionCache = 10_000
	DefaultMaxPageBytes = 2 << 20
	DefaultPageBudget   = 64 << 20
	DefaultPrefix       = "flashgate"
)

// dialTimeout leaves room for a second try within a call's Timeout.
const dialTimeout = time.Second

// Config is what Open needs.
type Config struct {
	// URL names the server or servers, with user, password and TLS as in
	//
	//	redis://user:password@host:6379/0
	//	rediss://host:6380                                       TLS
	//	redis://host1:26379,host2:26379?sentinel=mymaster        Sentinel
	//	redis://host1:7000,host2:7001,host3:7002?cluster=true    Cluster
	//
	// Without a port it is 6379, and 26379 of a Sentinel. The path is the number of
	// the database, which a Cluster does not have. Characters that mean something in
	// a URL are percent-encoded, in a password too. A user with a narrow access list
	// needs ~flashgate:* &flashgate:* +@all -@dangerous +info: scripts ask which run
	// of the server they are in.
	//
	// Further parameters: sentinel_user and sentinel_password (of the Sentinels; user
	// and password are the server's), pool_size (connections to each server, 1 to
	// 10000, default 10 per processor), and with rediss tls_ca (a PEM file; default:
	// the system's authorities), tls_cert and tls_key (PEM files for a client
	// certificate), tls_server_name (default: the host that is dialled).
	URL string

	// Timeout bounds one call where the caller's context has no deadline; default 2 s.
	Timeout time.Duration
	// SessionCache is how many sessions are kept locally; default 10,000, negative
	// for none.
	SessionCache int
	// MaxPageBytes is the largest page that is kept; default 2 MiB.
	MaxPageBytes int
	// PageBudget is how many bytes of pages this Store has in Redis at a time, those
	// that it has written and that have not expired; default 64 MiB.
	PageBudget int64
	// Prefix begins the keys and channels of sessions, limits, one-time values and
	// pages; default "flashgate". 1 to 64 letters, digits and _ - . Those of sales begin
	// with flashgate: always.
	Prefix string
}

// Store is a client of one Redis. It is safe for concurrent use.
type Store struct {
	cfg      Config
	db       int
	client   goredis.UniversalClient
	sessions *sessionCache
	reads    *reads
	freed    *freed
	pages    budget

	begin  time.Time
	local  *ratelimit.Local
	limits *limits
}

// go-redis writes to standard error by default, on every lost connection. What it
// has to say reaches the caller as an error anyway.
var silence = sync.OnceFunc(logging.Disable)

var prefixes = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// Open makes the client. It dials nobody: a server that is away shows in the first
// call. CodeInvalid names what is wrong with the URL, and never repeats a user or a
// password.
func Open(cfg Config) (*Store, error) {
	const op = "redis.Open"
	silence()
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.SessionCache == 0 {
		cfg.SessionCache = DefaultSessionCache
	}
	if cfg.PageBudget <= 0 {
		cfg.PageBudget = DefaultPageBudget
	}
	if cfg.MaxPageBytes <= 0 {
		cfg.MaxPageBytes = DefaultMaxPageBytes
	}
	if cfg.Prefix == "" {
		cfg.Prefix = DefaultPrefix
	}
	if !prefixes.MatchString(cfg.Prefix) {
		return nil, flashgate.Invalid(op, "prefix", "must be 1 to 64 letters, digits and _ - .")
	}
	opts, err := parseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, db: opts.DB, client: newClient(opts, cfg.Timeout), pages: budget{limit: cfg.PageBudget},
		begin: time.Now(), local: ratelimit.NewLocal(localKeys)}
	s.freed = newFreed(s.client, opts.DB, cfg.Timeout)
	s.limits = newLimits(s)
	s.reads = newReads(s)
	if s.sessions, err = newSessionCache(s); err != nil {
		_ = s.client.Close()
		return nil, err
	}
	return s, nil
}

// newClient sets what the URL does not say.
//
// Tries: go-redis repeats a command whose reply was lost. That is right for every
// verb that recognises its own repetition, and those that do not forbid it (see
// once). A Cluster client repeats by following redirects, so its nodes must not
// repeat on top of that. Connections are looked at before they are used, so one that
// the server closed while it was idle costs nothing; behind TLS that cannot be seen,
// and a repetition heals it.
func newClient(opts *goredis.UniversalOptions, timeout time.Duration) goredis.UniversalClient {
	opts.Protocol = 2 // nothing here needs RESP3, and no push can come between two replies
	opts.DisableIdentity = true
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	opts.ContextTimeoutEnabled = true
	opts.DialTimeout = min(timeout, dialTimeout)
	opts.DialerRetries = 1
	opts.ReadTimeout, opts.WriteTimeout, opts.PoolTimeout = timeout, timeout, timeout
	opts.MinRetryBackoff, opts.MaxRetryBackoff = 10*time.Millisecond, 100*time.Millisecond
	if !opts.IsClusterMode {
		opts.MaxRetries = 2
	}
	client := goredis.NewUniversalClient(opts)
	client.AddHook(bound(timeout))
	return client
}

// bound gives a deadline to every call that has none, over all its tries.
type bound time.Duration

func (b bound) context(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Duration(b))
}

func (b bound) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (b bound) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		ctx, cancel := b.context(ctx)
		defer cancel()
		return next(ctx, cmd)
	}
}

func (b bound) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		ctx, cancel := b.context(ctx)
		defer cancel()
		return next(ctx, cmds)
	}
}

// Close ends the connections. Sessions that other gateways end are no longer waited
// for here.
func (s *Store) Close() error {
	s.sessions.close()
	s.freed.watch.end()
	s.limits.close()
	return s.client.Close()
}

// Check asks every primary for a sign of life.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := bound(s.cfg.Timeout).context(ctx)
	defer cancel()
	return unavailable("redis.Check", s.eachPrimary(ctx, func(ctx context.Context, c goredis.Cmdable) error {
		return c.Ping(ctx).Err()
	}))
}

// eachPrimary calls f for each server that holds a part of the keys, concurrently.
func (s *Store) eachPrimary(ctx context.Context, f func(ctx context.Context, c goredis.Cmdable) error) error {
	cluster, ok := s.client.(*goredis.ClusterClient)
	if !ok {
		return f(ctx, s.client)
	}
	return cluster.ForEachMaster(ctx, func(ctx context.Context, c *goredis.Client) error { return f(ctx, c) })
}

// key is the name of one thing. What is in braces alone decides on the slot.
func (s *Store) key(kind, id string) string { return s.cfg.Prefix + ":" + kind + ":{" + id + "}" }

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

var _ flashgate.Checker = (*Store)(nil)
