package accesslimit

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/internal/ratelimit"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(&Handler{})
}

// op names the directive in errors, logs and metrics.
const op = "access_limit"

// What happens to requests while the state backend is away.
const (
	awayClosed = "closed"
	awayOpen   = "open"
	awayLocal  = "local"
)

// Handler lets so many requests pass in so long, counted by whom. A request passes when
// all of its limits have room, in one decision; one that is refused costs nothing, and is
// answered 429 `rate_limited` with Retry-After (RFC 9110, section 10.2.3).
//
// Answers carry `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10).
// Placeholders, for what comes behind and for the log:
//
//	{http.access_limit.remaining}    how many more would pass now, of the tightest limit
//	{http.access_limit.exceeded}     the names of the limits that are past, with commas
//	{http.access_limit.retry_after}  seconds, when refused
//
// It emits the event `access_limit_exceeded` with `limit` (the name), `refused` (a bool)
// and `remote` (the client's address) for a request past a limit.
type Handler struct {
	// At least one, at most 8.
	Limits []*Limit `json:"limits"`

	// Requests that match are not counted.
	ExemptRaw caddyhttp.RawMatcherSets `json:"exempt,omitempty" caddy:"namespace=http.matchers"`

	// Requests that match are refused: 403 `forbidden`.
	BlockRaw caddyhttp.RawMatcherSets `json:"block,omitempty" caddy:"namespace=http.matchers"`

	// While the state backend is away: "closed" (default) answers 503 `unavailable`, as a
	// limit that nobody counts is none, in the hour when it is needed; "open" lets pass;
	// "local" counts in this process alone, with local_share of each limit.
	WhenAway string `json:"when_away,omitempty"`

	// Percent of each limit that "local" lets pass: 1 to 100; with g gateways 100/g keeps
	// the sum. Default: 100.
	LocalShare int `json:"local_share,omitempty"`

	// Says nothing about the limits in the answers but Retry-After.
	Sensitive bool `json:"sensitive,omitempty"`

	// "caddy" hands errors to handle_errors. Default: problem documents.
	Errors app.Errors `json:"errors,omitempty"`

	app    *app.App
	events *caddyevents.App
	ctx    caddy.Context
	exempt caddyhttp.MatcherSets
	block  caddyhttp.MatcherSets
	policy string           // RateLimit-Policy
	local  *ratelimit.Table // counts while the backend is away, and refusals
	begin  time.Time

	// What most requests come to.
	allowed app.Counter
	refused *app.Refusal
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.access_limit", New: func() caddy.Module { return new(Handler) }}
}

// localKeys bounds what is counted here while the backend is away: about 10 MB.
const localKeys = 1 << 17

// Provision checks the settings and finds the app.
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	if err := h.Validate(); err != nil {
		return err
	}
	h.local, h.begin = ratelimit.NewTable(localKeys), time.Now()
	if h.ExemptRaw != nil {
		if err := app.LoadMatchers(ctx, h, "ExemptRaw", &h.exempt); err != nil {
			return fmt.Errorf("access_limit: exempt: %w", err)
		}
	}
	if h.BlockRaw != nil {
		if err := app.LoadMatchers(ctx, h, "BlockRaw", &h.block); err != nil {
			return fmt.Errorf("access_limit: block: %w", err)
		}
	}
	h.allowed = app.DecisionCounter(op, "allowed")
	h.refused = app.NewRefusal(&flashgate.Error{Code: flashgate.CodeRateLimited, Op: op, Message: "Wait a little and try again."}, string(flashgate.CodeRateLimited))
	events, err := ctx.App("events")
	if err != nil {
		return err
	}
	h.ctx, h.events = ctx, events.(*caddyevents.App)
	if h.app, err = app.Get(ctx); err != nil {
		return err
	}
	for _, l := range h.Limits {
		l.setDefaults()
		named := app.NamedLimit{
			Name: l.Name, Rate: l.rate(), By: l.By, IPv4Prefix: l.IPv4Prefix, IPv6Prefix: l.IPv6Prefix,
			Key: func(r *http.Request) string {
				return l.key(r, r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer))
			},
		}
		if err := h.app.AddLimit(named); err != nil {
			return fmt.Errorf("access_limit: %w", err)
		}
	}
	h.policy = policy(h.Limits)
	return nil
}

// maxLimits bounds the limits of one route.
const maxLimits = 8

// Validate checks the settings.
func (h *Handler) Validate() error {
	if len(h.Limits) == 0 || len(h.Limits) > maxLimits {
		return fmt.Errorf("access_limit needs 1 to %d limits", maxLimits)
	}
	names := map[string]bool{}
	for _, l := range h.Limits {
		if l == nil {
			return errors.New("access_limit: a limit is null")
		}
		if err := l.Validate(); err != nil {
			return fmt.Errorf("access_limit: %w", err)
		}
		if names[l.Name] {
			return fmt.Errorf("access_limit: two limits of a route are called %s", l.Name)
		}
		names[l.Name] = true
	}
	switch h.WhenAway {
	case "", awayClosed, awayOpen, awayLocal:
	default:
		return fmt.Errorf("access_limit: when_away %s: write open, closed or local", h.WhenAway)
	}
	if h.LocalShare < 0 || h.LocalShare > 100 || h.LocalShare > 0 && h.WhenAway != awayLocal {
		return errors.New("access_limit: a share is 1 to 100 percent, and belongs to when_away local")
	}
	return h.Errors.Validate()
}

// ServeHTTP decides one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	switch verdict, err := h.listed(r); {
	case err != nil:
		return err
	case verdict == listedExempt:
		app.CountDecision(op, "exempt")
		return next.ServeHTTP(w, r)
	case verdict == listedBlocked:
		return h.forbid(w, r, "blocked")
	}
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	d := newDecision(h.Limits)
	steppedUp := false
	for i, l := range h.Limits {
		d.charges[i] = l.charge(r, repl)
		if l.StepUp && h.app.SteppedUp(r) {
			d.charges[i].Advisory, steppedUp = true, true
		}
	}
	switch banned, passes := h.marked(d.charges); {
	case !banned.IsZero():
		app.CountDecision(op, "banned")
		return h.app.Fail(w, r, op, &flashgate.Error{Code: flashgate.CodeRateLimited, Op: op,
			Message: "There were too many requests. Come back later.", RetryAfter: time.Until(banned)}, h.Errors.Caddy())
	case passes:
		app.CountDecision(op, "exempt")
		return next.ServeHTTP(w, r)
	}
	err := h.app.Limiter().Charge(r.Context(), d.charges)
	if err != nil && h.WhenAway != "" && h.WhenAway != awayClosed {
		app.CountDecision(op, "away")
		if h.WhenAway == awayOpen {
			return next.ServeHTTP(w, r)
		}
		h.chargeHere(d.charges)
		err = nil
	}
	if err != nil {
		app.CountDecision(op, string(flashgate.ErrorCode(err)))
		return h.app.Fail(w, r, op, err, h.Errors.Caddy())
	}
	h.report(w, r, repl, d)
	switch {
	case d.refusing == nil:
		h.allowed.Inc()
		return next.ServeHTTP(w, r)
	case d.refusing.StepUp && !steppedUp && h.app.CanStepUp():
		app.CountDecision(op, string(flashgate.CodeCaptchaRequired))
		if at := d.refusing.Challenge; at != "" {
			w.Header().Add("Link", "<"+at+`>; rel="captcha"`)
		}
		return h.app.Fail(w, r, op, &flashgate.Error{Code: flashgate.CodeCaptchaRequired, Op: op, Message: "Solve a captcha to go on."}, h.Errors.Caddy())
	}
	return h.refused.Send(w, d.wait(), h.Errors.Caddy())
}

// chargeHere counts in this process, with a share of each limit.
func (h *Handler) chargeHere(charges []flashgate.Charge) {
	if h.LocalShare > 0 {
		for i := range charges {
			r := &charges[i].Rate
			r.Limit = max(1, r.Limit*h.LocalShare/100)
			if r.Burst > 0 {
				r.Burst = max(1, r.Burst*h.LocalShare/100)
			}
		}
	}
	h.local.Charge(charges, int64(time.Since(h.begin))+1)
}

// exceededEvent is emitted for a request past a limit.
const exceededEvent = "access_limit_exceeded"

// report tells everybody who wants to know, and finds the limit that refuses: one that
// a captcha does not help against, if there is one.
func (h *Handler) report(w http.ResponseWriter, r *http.Request, repl *caddy.Replacer, d *decision) {
	remaining := -1
	for i, l := range d.limits {
		c := &d.charges[i]
		if c.Verdict.Allowed {
			if !c.Advisory && (remaining < 0 || c.Verdict.Remaining < remaining) {
				remaining = c.Verdict.Remaining
			}
			continue
		}
		if !c.Advisory && (d.refusing == nil || d.refusing.StepUp) {
			d.refusing = l
		}
		l.countExceeded(!c.Advisory)
		if l.Escalation != nil && !c.Advisory {
			h.escalate(l, c.Key)
		}
		h.emit(l, r, !c.Advisory)
	}
	if d.refusing == nil {
		d.remaining = max(remaining, 0)
	}
	d.tell(r, repl)
	if !h.Sensitive {
		d.setHeader(w.Header(), h.policy)
	}
}

func (h *Handler) emit(l *Limit, r *http.Request, refused bool) {
	if !h.events.ShouldEmit(exceededEvent) {
		return
	}
	remote, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	h.events.Emit(h.ctx, exceededEvent, map[string]any{"limit": l.Name, "refused": refused, "remote": remote})
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
