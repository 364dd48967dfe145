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
//	captcha [<matcher>] [<kind>] {           # kind: math (the default), digits or pow
//	    serve        GET <pattern>           # where a challenge is fetched
//	    verify       <method> <pattern>      # what needs its answer; without both: a page of its own
//	    alternative  pow                     # offered beside a picture
//	    bits         <least> <most>          # of a proof of work; default 16 22
//	    ttl          <duration>              # default 2m
//	    failures     <by visitor> <by address> <window>  # wrong answers; default 30 300 10m
//	    penalty      <limit> [<units>]       # what a wrong answer takes from a limit of access_limit
//	    pass         <duration>              # how long who solved one passes: default 30m without serve
//	    pool         <size> [<percent>] | off  # drawn ahead, with so much of a core; default 16MiB 10%
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
	pow, _ := guest.(*PoW)
	alone := pow != nil
	err = app.ParseBlock(d, op,
		app.Option{Name: "serve", Parse: func() (err error) {
			h.Serve, err = app.ParsePattern(d)
			return err
		}},
		app.Option{Name: "verify", Parse: func() (err error) {
			h.Verify, err = app.ParsePattern(d)
			return err
		}},
		app.Option{Name: "alternative", Parse: func() error {
			if name, err := app.OneArg(d); err != nil || name != "pow" || alone {
				return d.Err("the alternative must be pow, beside a kind to look at: alternative pow")
			}
			pow = new(PoW)
			return nil
		}},
		app.Option{Name: "bits", Parse: func() error {
			if pow == nil {
				return d.Err("bits belong to a proof of work: write captcha pow, or alternative pow in front of bits")
			}
			return pow.parseBits(d)
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
	if alone && (h.Pool != nil || h.MaxDrawing != 0) {
		return d.Err("pool and max_drawing belong to pictures: a proof of work draws nothing")
	}
	h.KindRaw = caddyconfig.JSONModuleObject(guest, "name", kind, nil)
	if pow != nil && !alone {
		h.AlternativeRaw = caddyconfig.JSONModuleObject(pow, "name", "pow", nil)
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
	return strings.Join(names, ", ")
}

// Interface guards.
var _ caddyfile.Unmarshaler = (*Handler)(nil)
