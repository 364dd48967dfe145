package hiddenpath

import (
	"errors"
	"net/http"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/internal/signedurl"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

func init() {
	caddy.RegisterModule(&Handler{})
}

// op names the directive in errors, logs and metrics.
const op = "hidden_path"

// Handler mints tokens and guards what lies behind them.
//
// It fails closed: a request at or below the parent of the guard's token, in any
// spelling and with any method, is answered 404 `path_invalid` unless a valid token
// was taken off. Wrong, expired, another's and another sale's tokens get the same
// bytes. Every other request goes on untouched.
//
// Without a sale a token is good for one use: its answer, up to 64 KiB, is kept until the
// token expires and given again, with `Idempotent-Replayed: true`, to a repeat by the
// same visitor. A repeat is answered 504 `unknown_outcome` while that is not known.
//
// Every answer from the mint and from behind the guard, refusals too, has
// `Cache-Control: no-store` and `Referrer-Policy: no-referrer`.
//
// After the guard `{http.hidden_path.order}` and `{http.hidden_path.sale}` are set,
// and the request's path ends where the token began.
//
// With Signed it guards paths by signed addresses instead, as closed as with tokens, and
// `{http.hidden_path.expires}` is the Unix time at which the address ends.
type Handler struct {
	// The request that asks for a token. Its method must be POST.
	Mint app.Pattern `json:"mint,omitzero"`

	// The request that carries the token in its last segment, such as
	// "POST /api/sales/{sale}/orders/{token}". Its method must be POST: an address that
	// is opened with GET stays in histories. All its other named segments must be
	// in Mint as well: a token is good for their values only.
	Guard app.Pattern `json:"guard,omitzero"`

	// Name of the segment that is the sale. With it a login is needed, tokens are
	// minted only while the sale is open, each with an order id that is used up
	// where it is used: at stock_gate or at the origin. Default: none; then a token
	// is good for one use, and an anonymous visitor's is bound to the client's
	// address.
	Sale string `json:"sale,omitempty"`

	// How long a token is valid: 1s to 24h. Default: 60s.
	TTL caddy.Duration `json:"ttl,omitempty"`

	// Whose token it is. Default: {http.auth.user.id}.
	User string `json:"user,omitempty"`

	// Of which login; what it stands for may be empty.
	// Default: {http.auth.user.session}.
	Session string `json:"session,omitempty"`

	// "caddy" hands errors to handle_errors. Default: problem documents.
	Errors app.Errors `json:"errors,omitempty"`

	// Paths, such as /files/*, of which nothing at or below is reached but by a signed
	// address. A star is one segment. It stands without the settings above.
	Signed []string `json:"signed,omitempty"`

	Signatures

	app     *app.App
	logger  *zap.Logger
	invalid *app.Refusal // of pathInvalid

	token string   // name of the guard's last segment
	extra []string // the guard's other names, without the sale
	scope string   // the guard's pattern

	trees  trees // of Signed
	verify signedurl.Policy
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.hidden_path", New: func() caddy.Module { return new(Handler) }}
}

// Provision fills in the defaults and finds the app.
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	if err := h.Validate(); err != nil {
		return err
	}
	h.logger = ctx.Logger()
	h.invalid = app.NewRefusal(pathInvalid, string(pathInvalid.Code), "Referrer-Policy", "no-referrer")
	if h.app, err = app.Get(ctx); err != nil || len(h.Signed) > 0 {
		return errors.Join(err, h.provisionSigned())
	}
	if h.TTL == 0 {
		h.TTL = caddy.Duration(defaultTTL)
	}
	if h.User == "" {
		h.User = "{http.auth.user.id}"
	}
	if h.Session == "" {
		h.Session = "{http.auth.user.session}"
	}
	names := h.Guard.Names()
	h.token = names[len(names)-1]
	h.extra, h.scope = nil, h.Guard.String()
	for _, n := range names[:len(names)-1] {
		if n != h.Sale {
			h.extra = append(h.extra, n)
		}
	}
	return nil
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if len(h.Signed) > 0 {
		return h.serveSigned(w, r, next)
	}
	var room [8]string
	path := r.URL.EscapedPath()
	if vals, ok := h.Mint.Match(r.Method, path, room[:0]); ok {
		return h.mint(w, r, vals)
	}
	if vals, ok := h.Guard.Match(r.Method, path, room[:0]); ok {
		return h.guard(w, r, vals, next)
	}
	if h.Guard.Under(path) {
		return h.refuseInvalid(w)
	}
	return next.ServeHTTP(w, r)
}

// pathInvalid is whatever is wrong with a path.
var pathInvalid = &flashgate.Error{Code: flashgate.CodePathInvalid, Op: op, Message: "Ask for a new address and use it in time."}

func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) error {
	app.CountDecision(op, string(flashgate.ErrorCode(err)))
	w.Header()["Referrer-Policy"] = []string{"no-referrer"} // and no-store, as every refusal
	return h.app.Fail(w, r, op, err, h.Errors.Caddy())
}

// refuseInvalid is the one answer to whatever is wrong with a path.
func (h *Handler) refuseInvalid(w http.ResponseWriter) error {
	return h.invalid.Send(w, 0, h.Errors.Caddy())
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
