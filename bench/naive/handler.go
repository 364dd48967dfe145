package naive

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/redis/go-redis/v9"
)

func init() {
	caddy.RegisterModule(&Handler{})
	httpcaddyfile.RegisterHandlerDirective("naive", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		handler := new(Handler)
		return handler, handler.UnmarshalCaddyfile(h.Dispenser)
	})
}

// Handler answers POST /buy/<sale>/<token>. With a Redis alone it reserves for the user in
// X-User. With a RabbitMQ too it looks the session up, counts against a limit, checks the
// path, reserves, publishes and waits for the confirm.
type Handler struct {
	RedisURL string `json:"redis"`
	AMQPURL  string `json:"amqp,omitempty"`

	redis *redis.Client
	amqp  *amqp.Connection
	mu    sync.Mutex // a channel must not be used by two at once
	queue *amqp.Channel
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.naive", New: func() caddy.Module { return new(Handler) }}
}

// UnmarshalCaddyfile reads `naive <redis> [<amqp>]`.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.Args(&h.RedisURL) {
		return d.ArgErr()
	}
	d.Args(&h.AMQPURL)
	return nil
}

// Provision connects.
func (h *Handler) Provision(caddy.Context) error {
	repl := caddy.NewReplacer()
	opts, err := redis.ParseURL(repl.ReplaceAll(h.RedisURL, ""))
	if err != nil {
		return err
	}
	h.redis = redis.NewClient(opts)
	url := repl.ReplaceAll(h.AMQPURL, "")
	if url == "" {
		return nil
	}
	if h.amqp, err = amqp.Dial(url); err != nil {
		return err
	}
	if h.queue, err = h.amqp.Channel(); err != nil {
		return err
	}
	if err := Declare(h.queue); err != nil {
		return err
	}
	return h.queue.Confirm(false)
}

// Declare makes the queue, as durable as flashgate's.
func Declare(ch *amqp.Channel) error {
	_, err := ch.QueueDeclare(Queue, true, false, false, false, amqp.Table{"x-queue-type": "quorum"})
	return err
}

// Cleanup ends the connections.
func (h *Handler) Cleanup() error {
	if h.amqp != nil {
		_ = h.amqp.Close() // the bench is over
	}
	return h.redis.Close()
}

// Order is a message.
type Order struct {
	Order string `json:"order"`
	Sale  string `json:"sale"`
	User  string `json:"user"`
	At    int64  `json:"at"`
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	sale, token, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/buy/"), "/")
	if !ok || r.Method != http.MethodPost {
		return next.ServeHTTP(w, r)
	}
	// A client that leaves between the reserve and the publish would take a unit with it.
	ctx, user := context.WithoutCancel(r.Context()), r.Header.Get("X-User")
	if h.queue != nil {
		var err error
		if user, err = h.admit(ctx, r, token); err != nil {
			return err
		}
	}
	held, err := Reserve.Run(ctx, h.redis, SaleKeys(sale), user).Int()
	if err != nil {
		return err
	}
	if held != 1 {
		return caddyhttp.Error(http.StatusConflict, fmt.Errorf("refused: %d", held))
	}
	if h.queue != nil {
		if err := h.publish(ctx, Order{Order: token, Sale: sale, User: user, At: time.Now().UnixMilli()}); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	return json.NewEncoder(w).Encode(map[string]string{"order": token, "status": "undecided"})
}

// admit is session, limit and path, one round trip each.
func (h *Handler) admit(ctx context.Context, r *http.Request, token string) (user string, err error) {
	cookie, err := r.Cookie("session")
	if err != nil {
		return "", caddyhttp.Error(http.StatusUnauthorized, err)
	}
	if user, err = h.redis.Get(ctx, SessionKey(cookie.Value)).Result(); err != nil {
		return "", caddyhttp.Error(http.StatusUnauthorized, err)
	}
	n, err := h.redis.Incr(ctx, limitKey(user)).Result()
	if err != nil {
		return "", err
	}
	if n == 1 {
		h.redis.Expire(ctx, limitKey(user), 10*time.Second)
	}
	if n > 1000 {
		return "", caddyhttp.Error(http.StatusTooManyRequests, nil)
	}
	owner, err := h.redis.Get(ctx, PathKey(token)).Result()
	if err != nil || owner != user {
		return "", caddyhttp.Error(http.StatusNotFound, err)
	}
	return user, nil
}

func (h *Handler) publish(ctx context.Context, o Order) error {
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	h.mu.Lock()
	confirm, err := h.queue.PublishWithDeferredConfirmWithContext(ctx, "", Queue, true, false,
		amqp.Publishing{DeliveryMode: amqp.Persistent, ContentType: "application/json", Body: body})
	h.mu.Unlock()
	if err != nil {
		return err
	}
	acked, err := confirm.WaitContext(ctx)
	if err == nil && !acked {
		err = fmt.Errorf("%s was not confirmed", o.Order)
	}
	return err
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
)
