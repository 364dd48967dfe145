package captcha

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/internal/challenge"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

func init() {
	caddy.RegisterModule(&Handler{})
}

// op names the directive in errors, logs and metrics.
const op = "captcha"

// The ranges of the settings.
const (
	defaultTTL  = 2 * time.Minute
	minTTL      = 5 * time.Second
	maxTTL      = time.Hour
	minPass     = time.Second
	defaultPass = 30 * time.Minute
	maxPass     = 24 * time.Hour
	maxDrawing  = 1024
	minKey      = 8 // bytes of a load-test key
)

// Handler lets through only who solves a challenge, in one of two ways.
//
// With `serve` and `verify` it draws a challenge where the one says, and where the other
// says lets through only who brings its answer. An answer counts for one visitor, for the
// segments that both patterns name, for a time, and once: the first attempt burns it,
// right or wrong, and every new picture replaces the one before. The answer comes in the
// member `captcha` of a JSON object or in the form field of that name.
//
// Without them it guards whatever its matcher says: a browser is shown a page with the
// challenge, a program is told in a problem document where to fetch one, and who has
// solved it is let through for a while, by a signed cookie.
//
// Visitors are told apart by their session, and without a login by a cookie of the
// directive's own.
type Handler struct {
	// What is asked: math, digits or pow. Default in a Caddyfile: math.
	KindRaw json.RawMessage `json:"kind" caddy:"namespace=flashgate.captcha inline_key=name"`

	// What is offered beside it: pow, for visitors who can neither see nor hear.
	// Default: nothing.
	AlternativeRaw json.RawMessage `json:"alternative,omitempty" caddy:"namespace=flashgate.captcha inline_key=name"`

	// The request that fetches a challenge, such as "GET /api/sales/{sale}/captcha".
	// The answer is a picture (image/png); with ?kind=audio, spoken digits
	// (audio/wav), which are a challenge of their own; with ?kind=pow, a proof of work
	// (JSON), and with ?kind=worker.js the script that does it.
	Serve app.Pattern `json:"serve,omitzero"`

	// The request that must bring the answer.
	Verify app.Pattern `json:"verify,omitzero"`

	// How long an answer counts: 5s to 1h. Default: 2m.
	TTL caddy.Duration `json:"ttl,omitempty"`

	// How often one may be wrong; then 429 `rate_limited`.
	// Default: 30 times by a visitor, 300 by an address, in 10m.
	Failures *Failures `json:"failures,omitempty"`

	// A limit of access_limit that a wrong answer takes from. Default: none.
	Penalty *Penalty `json:"penalty,omitempty"`

	// How long whoever has solved one is let through without serve and verify, and may pass
	// limits of access_limit that say step_up: 1s to 24h. It is kept in a signed cookie,
	// bound to the session, or without one to the network of the address.
	// Default: 30m; with serve and verify, not at all.
	Pass caddy.Duration `json:"pass,omitempty"`

	// Challenges that are drawn ahead. Default: 16 MiB, with a tenth of a core.
	Pool *Pool `json:"pool,omitempty"`

	// How many challenges are drawn at once when the pool is empty: 1 to 1024. 64 times as
	// many wait, at most two seconds; more are answered 503 `unavailable` at once.
	// Default: one for every two cores.
	MaxDrawing int `json:"max_drawing,omitempty"`

	// Whoever fetches a challenge with this in the header Flashgate-Loadtest is told
	// its answer in the header Captcha-Answer. At least 8 bytes. Placeholders are
	// replaced when the configuration is loaded: write {env.FLASHGATE_LOADTEST_KEY}.
	// Default, also when it is empty: off.
	LoadtestKey string `json:"loadtest_key,omitempty"`

	// "caddy" hands errors to handle_errors. Default: problem documents.
	Errors app.Errors `json:"errors,omitempty"`

	app         *app.App
	logger      *zap.Logger
	kindName    string
	bars        bars
	pow         *PoW            // nil: no proofs of work
	pool        *challenge.Pool // nil: no pictures
	poolKey     string          // among pools; empty when the pool is not ours to let go
	names       []string        // of the segments that an answer is bound to
	loadtest    bool
	loadtestSum [sha256.Size]byte // compared in place of the key: same length, same time
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.captcha", New: func() caddy.Module { return new(Handler) }}
}

// Provision fills in the defaults, loads the kind and finds the app.
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	h.logger = ctx.Logger()
	if err := h.Validate(); err != nil {
		return err
	}
	if h.TTL == 0 {
		h.TTL = caddy.Duration(defaultTTL)
	}
	if h.MaxDrawing == 0 {
		h.MaxDrawing = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if !h.standalone() {
		h.names = slices.Sorted(slices.Values(h.Serve.Names()))
	}
	if h.Failures == nil {
		h.Failures = &defaultFailures
	}
	if h.Pass == 0 && h.standalone() {
		h.Pass = caddy.Duration(defaultPass)
	}
	if err := h.provisionLoadtest(); err != nil {
		return err
	}
	if err := registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	if h.app, err = app.Get(ctx); err != nil {
		return err
	}
	h.provisionLimits()
	return h.provisionKinds(ctx)
}

// provisionKinds loads what is asked.
func (h *Handler) provisionKinds(ctx caddy.Context) error {
	if len(h.KindRaw) == 0 {
		return errors.New("captcha needs a kind, such as math")
	}
	made := string(h.KindRaw) // which loading wipes
	kind, err := ctx.LoadModule(h, "KindRaw")
	if err != nil {
		return err
	}
	h.kindName = kind.(caddy.Module).CaddyModule().ID.Name()
	if h.AlternativeRaw != nil {
		other, err := ctx.LoadModule(h, "AlternativeRaw")
		if err != nil {
			return err
		}
		pow, ok := other.(*PoW)
		if _, same := kind.(*PoW); !ok || same {
			return errors.New("the alternative must be pow, beside a kind to look at")
		}
		h.pow = pow
	}
	if pow, ok := kind.(*PoW); ok {
		h.pow = pow
		return nil
	}
	return h.provisionPool(kind.(Kind), made)
}

// standalone: the matcher says what is guarded.
func (h *Handler) standalone() bool { return !h.Serve.IsSet() && !h.Verify.IsSet() }

// provisionLimits tells the app what is counted here, and who has solved a captcha.
func (h *Handler) provisionLimits() {
	visitor, address := h.Failures.rates()
	byVisitor, byAddress := h.Failures.names()
	h.app.AddLimit(app.NamedLimit{Name: byVisitor, Rate: visitor})
	h.app.AddLimit(app.NamedLimit{Name: byAddress, Rate: address})
	if h.Pass > 0 {
		h.app.ProvideStepUp(h.hasPass)
	}
	if h.Penalty != nil {
		h.app.OnStart(h.checkPenalty)
	}
}

func (h *Handler) provisionLoadtest() error {
	key := caddy.NewReplacer().ReplaceAll(h.LoadtestKey, "")
	if key == "" {
		return nil
	}
	if len(key) < minKey {
		return fmt.Errorf("loadtest_key is shorter than %d bytes: use a long random one, or unset it", minKey)
	}
	serve := "a page of its own"
	if !h.standalone() {
		serve = h.Serve.String()
	}
	h.loadtest, h.loadtestSum = true, sha256.Sum256([]byte(key))
	h.logger.Warn("CAPTCHAS ARE OFF for whoever knows loadtest_key: never set it where real visitors buy",
		zap.String("serve", serve))
	return nil
}

// Validate checks the settings and how they fit.
func (h *Handler) Validate() error {
	switch {
	case h.TTL != 0 && (time.Duration(h.TTL) < minTTL || time.Duration(h.TTL) > maxTTL):
		return fmt.Errorf("ttl must be between %s and %s", minTTL, maxTTL)
	case h.MaxDrawing < 0 || h.MaxDrawing > maxDrawing:
		return fmt.Errorf("max_drawing must be between 1 and %d", maxDrawing)
	case h.standalone():
		return h.validateParts()
	case !h.Serve.IsSet():
		return errors.New("captcha needs serve beside verify: where a challenge is fetched, such as: serve GET /captcha; or neither of them, for a page of its own")
	case !h.Verify.IsSet():
		return errors.New("captcha needs verify beside serve: which request must bring the answer, such as: verify POST /signup; or neither of them, for a page of its own")
	case h.Serve.Method() != http.MethodGet:
		return errors.New("serve must be GET: a picture is fetched")
	case h.Verify.Method() == http.MethodGet || h.Verify.Method() == http.MethodHead:
		return errors.New("verify must not be GET: the answer comes in the body")
	case !sameNames(h.Serve.Names(), h.Verify.Names()):
		return fmt.Errorf("serve and verify must name the same segments: an answer counts for what both name, and %s and %s do not", h.Serve.Path(), h.Verify.Path())
	}
	return h.validateParts()
}

func (h *Handler) validateParts() error {
	if h.Pool != nil {
		if err := h.Pool.Validate(); err != nil {
			return err
		}
	}
	if h.Failures != nil {
		if err := h.Failures.Validate(); err != nil {
			return err
		}
	}
	if h.Penalty != nil && (h.Penalty.Limit == "" || h.Penalty.Units < 1 || h.Penalty.Units > maxUnits) {
		return fmt.Errorf("a penalty needs the name of a limit and 1 to %d units", maxUnits)
	}
	if h.Pass != 0 && (time.Duration(h.Pass) < minPass || time.Duration(h.Pass) > maxPass) {
		return fmt.Errorf("pass must be between %s and %s", minPass, maxPass)
	}
	return h.Errors.Validate()
}

func sameNames(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if h.standalone() {
		return h.alone(w, r, next)
	}
	var room [8]string
	if vals, ok := h.Serve.Matches(r, room[:0]); ok {
		return h.serve(w, r, h.scope(h.Serve, vals))
	}
	if vals, ok := h.Verify.Matches(r, room[:0]); ok {
		if err := h.verify(r, h.scope(h.Verify, vals)); err != nil {
			w.Header().Set("Link", "<"+h.challengeAt(vals)+`>; rel="captcha"`)
			return h.refuse(w, r, err)
		}
		if h.Pass > 0 {
			if err := h.grantPass(w, r); err != nil {
				return h.refuse(w, r, err)
			}
		}
		app.CountDecision(op, "passed")
		return next.ServeHTTP(w, r)
	}
	// Other spellings are closed: an origin that decodes first takes them for the same.
	if r.Method == h.Verify.Method() && h.Verify.Like(r.URL.EscapedPath()) {
		return h.refuse(w, r, flashgate.Errorf(flashgate.CodeCaptchaRequired, op, "Send it to the address as it is written: %s", h.Verify.Path()))
	}
	return next.ServeHTTP(w, r)
}

// challengeAt is where the challenge of a verified request is fetched.
func (h *Handler) challengeAt(vals []string) string {
	at := h.Serve.Path()
	for _, name := range h.names {
		at = strings.ReplaceAll(at, "{"+name+"}", h.Verify.Value(vals, name))
	}
	return at
}

// serve answers where challenges are fetched, by ?kind.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, scope string) error {
	switch asked := r.URL.Query().Get("kind"); {
	case asked == askWorker && h.pow != nil:
		return sendScript(w, asked)
	case h.pow != nil && (asked == askProof || h.pool == nil):
		return h.askProof(w, r, scope)
	default:
		return h.challenge(w, r, scope, asked)
	}
}

func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) error {
	app.CountDecision(op, string(flashgate.ErrorCode(err)))
	return h.app.Fail(w, r, op, err, h.Errors.Caddy())
}

// knowsKey reports whether a load tester is asking.
func (h *Handler) knowsKey(r *http.Request) bool {
	sent := sha256.Sum256([]byte(r.Header.Get("Flashgate-Loadtest")))
	return h.loadtest && subtle.ConstantTimeCompare(sent[:], h.loadtestSum[:]) == 1
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
