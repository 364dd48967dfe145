package app

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"flashgate/internal/gate"
	"flashgate/internal/rabbitmq"

	"github.com/caddyserver/caddy/v2"
)

func init() {
	caddy.RegisterModule(&RabbitMQ{})
}

// RabbitMQ is the order queue on a RabbitMQ server, for the stock on Redis. It
// connects when it is first used: nothing has to run when a configuration is loaded.
type RabbitMQ struct {
	// Where the server is: amqp://user:password@host:5672/vhost, or amqps:// for TLS.
	// Write {env.AMQP_URL}: a password in the configuration itself lands in the
	// autosave. Placeholders are replaced when the configuration is loaded.
	URL string `json:"url"`

	url string // without placeholders
}

// CaddyModule returns the Caddy module information.
func (*RabbitMQ) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "flashgate.queue.rabbitmq", New: func() caddy.Module { return new(RabbitMQ) }}
}

// Provision reads the settings. It dials nobody.
func (r *RabbitMQ) Provision(caddy.Context) error {
	r.url = caddy.NewReplacer().ReplaceAll(r.URL, "")
	return checkRabbitURL(r.url)
}

// checkRabbitURL says what is wrong with a URL, and nothing of the URL.
func checkRabbitURL(url string) error {
	if strings.TrimSpace(url) == "" {
		return errEmpty("rabbitmq")
	}
	publisher, err := rabbitmq.OpenPublisher(rabbitmq.Config{URL: url})
	if err != nil {
		return public(err)
	}
	return publisher.Close()
}

// QueueKey names the server, without showing it.
func (r *RabbitMQ) QueueKey(string) string {
	sum := sha256.Sum256([]byte(r.url))
	return hex.EncodeToString(sum[:])
}

// OpenQueue makes the publisher. It dials nobody.
func (r *RabbitMQ) OpenQueue(string) (QueueBackend, error) {
	publisher, err := rabbitmq.OpenPublisher(rabbitmq.Config{URL: r.url, Logger: caddy.Log().Named("flashgate")})
	if err != nil {
		return nil, err
	}
	return &rabbitQueue{publisher, newCircuit("rabbitmq", publisher.Check)}, nil
}

type rabbitQueue struct {
	*rabbitmq.Publisher
	circuit *gate.Circuit
}

// Destruct ends the connection.
func (q *rabbitQueue) Destruct() error {
	closeCircuit("rabbitmq", q.circuit)
	return q.Close()
}

// Circuit keeps calls away from the server while it does not answer.
func (q *rabbitQueue) Circuit() *gate.Circuit { return q.circuit }

// Interface guards.
var (
	_ QueueModule       = (*RabbitMQ)(nil)
	_ caddy.Provisioner = (*RabbitMQ)(nil)
	_ QueueBackend      = (*rabbitQueue)(nil)
	_ Remote            = (*rabbitQueue)(nil)
	_ Connected         = (*rabbitQueue)(nil)
)
