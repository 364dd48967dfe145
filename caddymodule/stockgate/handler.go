package stockgate

import (
	"fmt"
	"net/http"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/internal/gate"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(&Handler{})
}

// op names the directive in errors, logs and metrics.
const op = "stock_gate"

// Handler answers the request that buys. It never hands it on: the order worker
// places the order, and the buyer polls it at the Location that is answered.
//
// With a server that does not answer, the first requests are answered within the
// timeout; from then on all are refused with 503 `unavailable` at once, before
// anything is reserved, until it answers again.
//
// 202 means held and durable. 504 `unknown_outcome` carries the order's id: it may
// have been placed, and repeating the request with the same id takes nothing twice.
// All other answers mean that this request took nothing.
//
// Once the stock has said that a sale is sold out, has ended or has not started, it is not
// asked for each further buyer: 409 `sold_out`, 410 `ended` or 403 `not_started` is
// answered at once, also to somebody who has bought and repeats: the order's id says what
// became of it. That lasts until units come free by a restock, a cancelled or expired
// order, until the sale's times are changed, and until the opening. Whatever happens, such
// an answer is never older than `sold_out_probe`.
//
// Without `path` the gate stands alone: it wants a user from any provider and mints
// the order's id itself. A client that repeats after a 504 sends that id in the
// header Idempotency-Key.
type Handler struct {
	// The request that buys, such as "POST /api/sales/{sale}/orders"; behind
	// hidden_path, what remains when the token is off.
	Match app.Pattern `json:"match"`

	// "required" refuses what did not come through hidden_path. Default: empty, the
	// gate stands alone.
	Path string `json:"path,omitempty"`

	// How many units: 1 to 1000, or a placeholder. Default: 1.
	Units string `json:"units,omitempty"`

	// Name of the pattern's segment that is the sale. Default: sale.
	Sale string `json:"sale,omitempty"`

	// Who buys; behind hidden_path its user counts. Default: {http.auth.user.id}.
	User string `json:"user,omitempty"`

	// How long a request may take, reserving and publishing included: 10ms to 1m, and
	// with a queue (redis and rabbitmq) at most 2s, as then the order worker publishes
	// what is held. Past it the answer is 504. Default: 2s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// How many requests may wait at once, at all stock_gates of this process together:
	// 1 to 1,000,000. The next is answered 503 `unavailable`, and nothing is reserved.
	// Default: 10000.
	MaxWaiting int `json:"max_waiting,omitempty"`

	// For how long the stock is believed that a sale is sold out, has ended or has not
	// started, when no news of units that came free or of another window gets through:
	// 10ms to 1m. From half of it on one request after the other is sent to find out
	// again. -1 asks the stock for each buyer, for measurements. Default: 1s.
	SoldOutProbe caddy.Duration `json:"sold_out_probe,omitempty"`

	// What stands in front of the order's id in Location. Default: /api/orders/.
	Location string `json:"location,omitempty"`

	// "caddy" hands errors to handle_errors. Default: problem documents.
	Errors app.Errors `json:"errors,omitempty"`

	app   *app.App
	gate  *gate.Gate
	below app.Pattern // whatever is at or below the pattern

	flags    flags
	accepted app.Counter
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.stock_gate", New: func() caddy.Module { return new(Handler) }}
}

// Provision fills in the defaults and finds the app.
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	if err := h.Validate(); err != nil {
		return err
	}
	h.defaults()
	if h.below, err = below(h.Match); err != nil {
		return err
	}
	if h.app, err = app.Get(ctx); err != nil {
		return err
	}
	if h.app.HasQueue() && time.Duration(h.Timeout) > flashgate.PublishWindow {
		return fmt.Errorf("stock_gate: timeout is %s, at most %s with a queue: after that the order worker publishes what is held, so leave the line out",
			time.Duration(h.Timeout), flashgate.PublishWindow)
	}
	app.ExpectDecisions(op, "accepted", string(flashgate.CodeUnknownOutcome), string(flashgate.CodeSoldOut),
		string(flashgate.CodeAlreadyBought), string(flashgate.CodeSaleClosed), string(flashgate.CodeUnavailable))
	h.flags = newFlags()
	h.accepted = app.DecisionCounter(op, "accepted")
	atOnce := 1 // the embedded stock writes for one at a time
	if h.app.HasQueue() {
		atOnce = 4
	}
	h.gate = gate.New(gate.Config{Backend: h.app, Timeout: time.Duration(h.Timeout), AtOnce: atOnce, MaxWaiting: h.MaxWaiting, Waiting: &waiting,
		SoldOutProbe: time.Duration(h.SoldOutProbe), OnBatch: app.ObserveBatch})
	return nil
}

// waiting counts over all gates of the process, those of the configuration before a
// reload included.
var waiting gate.Waiting

func (h *Handler) defaults() {
	if h.Units == "" {
		h.Units = "1"
	}
	if h.Sale == "" {
		h.Sale = defaultSale
	}
	if h.User == "" {
		h.User = "{http.auth.user.id}"
	}
	if h.Timeout == 0 {
		h.Timeout = caddy.Duration(flashgate.PublishWindow)
	}
	if h.MaxWaiting == 0 {
		h.MaxWaiting = 10_000
	}
	if h.SoldOutProbe == 0 {
		h.SoldOutProbe = caddy.Duration(gate.DefaultSoldOutProbe)
	}
	if h.Location == "" {
		h.Location = "/api/orders/"
	}
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	var room [8]string
	vals, ok := h.Match.Matches(r, room[:0])
	switch {
	case ok:
		return h.buy(w, r, h.Match.Value(vals, h.Sale))
	case h.disguised(r):
		return h.refuse(w, r, flashgate.Errorf(flashgate.CodeNotFound, op, "There is nothing here."))
	default:
		return next.ServeHTTP(w, r)
	}
}

func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) error {
	app.CountDecision(op, string(flashgate.ErrorCode(err)))
	return h.app.Fail(w, r, op, err, h.Errors.Caddy())
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
