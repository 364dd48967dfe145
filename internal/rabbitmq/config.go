package rabbitmq

import (
	"regexp"
	"time"

	"flashgate"

	"go.uber.org/zap"
)

// Defaults of Config, and how many failures DeadAttempts stands for.
const (
	DefaultPrefix        = "flashgate"
	DefaultQueues        = 8
	DefaultHeartbeat     = 5 * time.Second
	DefaultPrefetch      = 2048
	DefaultDeliveryLimit = 50
)

// maxQueues bounds Config.Queues: every queue is a Raft group of its own at the
// broker, and a channel in each process.
const maxQueues = 64

// Config is what OpenPublisher and OpenConsumer need. Prefix, Queues and
// DeliveryLimit must be the same in every process of a site.
type Config struct {
	// URL names the broker:
	//
	//	amqp://user:password@host:5672/vhost
	//	amqps://user:password@host:5671/vhost    TLS
	//
	// Without a user it is guest, without a path the virtual host is /. Parameters with
	// amqps: tls_ca (a PEM file; default: the system's), tls_cert and tls_key (PEM files
	// for a client certificate), tls_server_name (default: the host).
	URL string

	// Prefix begins the name of every queue and exchange: 1 to 64 letters, digits, dots,
	// hyphens and underscores. Default: flashgate.
	Prefix string
	// Queues is how many order queues there are, 1 to 64; default 8.
	Queues int
	// DeliveryLimit is how many failed deliveries move a message to the dead queue, 1 to
	// 100,000; default 50. A consumer that dies counts against all it had prefetched.
	DeliveryLimit int

	// Timeout bounds a publish from its begin to its confirm, 10 ms to
	// flashgate.PublishWindow; default flashgate.PublishWindow. A longer one would
	// break the promise that others rely on, that nothing is sent after that window.
	Timeout time.Duration
	// Heartbeat is after how long without a sign of life either side ends the
	// connection, in whole seconds, 1 to 60; default 5 s.
	Heartbeat time.Duration
	// Prefetch is how many messages of each queue a consumer holds unacked, 1 to
	// 65,535; default 2048: the batch that a worker decides, and the next one. They are in
	// memory: a message has at most flashgate.MaxMessageBytes, those of a gateway's largest
	// batch have about 40 kB.
	Prefetch int

	// Logger gets lost connections, and messages that the broker refused. Default: none.
	Logger *zap.Logger
}

var prefixForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// settings are a Config with its defaults, checked, and what its URL says.
type settings struct {
	Config
	broker
	role string // shown among the broker's connections
}

func newSettings(cfg Config, op, role string) (*settings, error) {
	setDefault(&cfg.Prefix, DefaultPrefix)
	setDefault(&cfg.Queues, DefaultQueues)
	setDefault(&cfg.DeliveryLimit, DefaultDeliveryLimit)
	setDefault(&cfg.Timeout, flashgate.PublishWindow)
	setDefault(&cfg.Heartbeat, DefaultHeartbeat)
	setDefault(&cfg.Prefetch, DefaultPrefetch)
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	switch {
	case !prefixForm.MatchString(cfg.Prefix):
		return nil, flashgate.Invalid(op, "prefix", "must be 1 to 64 letters, digits, dots, hyphens and underscores")
	case cfg.Queues < 1 || cfg.Queues > maxQueues:
		return nil, flashgate.Invalid(op, "queues", "must be 1 to %d, not %d", maxQueues, cfg.Queues)
	case cfg.DeliveryLimit < 1 || cfg.DeliveryLimit > 100_000:
		return nil, flashgate.Invalid(op, "delivery_limit", "must be 1 to 100000, not %d", cfg.DeliveryLimit)
	case cfg.Timeout < 10*time.Millisecond || cfg.Timeout > flashgate.PublishWindow:
		return nil, flashgate.Invalid(op, "timeout", "must be 10ms to %s, not %s", flashgate.PublishWindow, cfg.Timeout)
	case cfg.Heartbeat < time.Second || cfg.Heartbeat > time.Minute || cfg.Heartbeat%time.Second != 0:
		return nil, flashgate.Invalid(op, "heartbeat", "must be 1s to 60s in whole seconds, not %s", cfg.Heartbeat)
	case cfg.Prefetch < 1 || cfg.Prefetch > 65_535:
		return nil, flashgate.Invalid(op, "prefetch", "must be 1 to 65535, not %d", cfg.Prefetch)
	}
	b, err := parseURL(op, cfg.URL)
	if err != nil {
		return nil, err
	}
	return &settings{Config: cfg, broker: b, role: role}, nil
}

// setDefault replaces the zero value.
func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}
