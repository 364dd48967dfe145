package captcha

import (
	"strconv"
	"strings"

	"flashgate/caddymodule/app"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("captcha", parseCaddyfile)
}

func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	var handler Handler
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return &handler, nil
}

// UnmarshalCaddyfile reads the directive. Syntax:
//
//	captcha [<matcher>] [<kind>] {           # kind: math (the default) or digits
//	    serve        GET <pattern>           # where a challenge is fetched
//	    verify       <method> <pattern>      # what needs its answer
//	    ttl          <duration>              # default 2m
//	    failures     <by visitor> <by address> <window>  # wrong answers; default 30 300 10m
//	    penalty      <limit> [<units>]       # what a wrong answer takes from a limit of access_limit
//	    pass         <duration>              # who solved one passes limits that say step_up
//	    pool         <size> [<percent>] | off  # drawn ahead, with so much of a core; default 16MiB 25%
//	    max_drawing  <number>                # when the pool is empty; default: one for every two cores
//	    loadtest_key {env.<name>}            # default: off
//	    errors       caddy                   # default: problem documents
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive's name
	kind := "math"
	if d.NextArg() {
		kind = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	module, err := caddy.GetModule("flashgate.captcha." + kind)
	if err != nil {
		return d.Errf("there is no captcha of kind %s: use %s", kind, kinds())
	}
	guest := module.New()
	h.KindRaw = caddyconfig.JSONModuleObject(guest, "name", kind, nil)
	err = app.ParseBlock(d, op,
		app.Option{Name: "serve", Parse: func() (err error) {
			h.Serve, err = app.ParsePattern(d)
			return err
		}},
		app.Option{Name: "verify", Parse: func() (err error) {
			h.Verify, err = app.ParsePattern(d)
			return err
		}},
		app.Option{Name: "ttl", Parse: func() error {
			ttl, err := app.ParseDuration(d, minTTL, maxTTL)
			h.TTL = caddy.Duration(ttl)
			return err
		}},
		app.Option{Name: "failures", Parse: func() error { return h.parseFailures(d) }},
		app.Option{Name: "penalty", Parse: func() error { return h.parsePenalty(d) }},
		app.Option{Name: "pass", Parse: func() error {
			pass, err := app.ParseDuration(d, minPass, maxPass)
			h.Pass = caddy.Duration(pass)
			return err
		}},
		app.Option{Name: "pool", Parse: func() error { return h.parsePool(d) }},
		app.Option{Name: "max_drawing", Parse: func() error { return h.parseMaxDrawing(d) }},
		app.Option{Name: "loadtest_key", Parse: func() error { return h.parseLoadtestKey(d) }},
		app.Option{Name: "errors", Parse: func() (err error) {
			h.Errors, err = app.ParseErrors(d)
			return err
		}},
	)
	if err != nil {
		return err
	}
	if err := h.Validate(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func (h *Handler) parseMaxDrawing(d *caddyfile.Dispenser) error {
	value, err := app.OneArg(d)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > maxDrawing {
		return d.Errf("max_drawing must be a number between 1 and %d", maxDrawing)
	}
	h.MaxDrawing = n
	return nil
}

func (h *Handler) parseLoadtestKey(d *caddyfile.Dispenser) error {
	value, err := app.OneArg(d)
	if err != nil {
		return err
	}
	h.LoadtestKey = value
	return nil
}

// kinds lists the guest modules that this build has.
func kinds() string {
	var names []string
	for _, m := range caddy.GetModules("flashgate.captcha") {
		names = append(names, m.ID.Name())
	}
	return strings.Join(names, " or ")
}

// Interface guards.
var _ caddyfile.Unmarshaler = (*Handler)(nil)
