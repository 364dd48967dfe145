package pagecache

import (
	"errors"
	"fmt"
	"time"

	"flashgate/caddymodule/app"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/dustin/go-humanize"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("page_cache", parseCaddyfile)
}

const (
	minTime    = time.Millisecond
	maxTime    = 24 * time.Hour
	maxMaxBody = 64 << 20
)

var errMaxBody = errors.New("max_body must be between 1B and 64MiB")

func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	var handler Handler
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return &handler, nil
}

// UnmarshalCaddyfile reads the directive. Syntax:
//
//	page_cache [<matcher>] {
//	    ttl                    <duration>   # default: only what the origin says
//	    stale_while_revalidate <duration>   # default: nothing stale
//	    max_body               <size>       # default 1MiB
//	    errors                 caddy        # default: problem documents
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive's name
	if d.NextArg() {
		return d.ArgErr()
	}
	return app.ParseBlock(d, op,
		app.Option{Name: "ttl", Parse: func() error { return parseTime(d, &h.TTL) }},
		app.Option{Name: "stale_while_revalidate", Parse: func() error { return parseTime(d, &h.StaleWhileRevalidate) }},
		app.Option{Name: "max_body", Parse: func() error { return h.parseMaxBody(d) }},
		app.Option{Name: "errors", Parse: func() (err error) {
			h.Errors, err = app.ParseErrors(d)
			return err
		}},
	)
}

func parseTime(d *caddyfile.Dispenser, to *caddy.Duration) error {
	t, err := app.ParseDuration(d, minTime, maxTime)
	*to = caddy.Duration(t)
	return err
}

func (h *Handler) parseMaxBody(d *caddyfile.Dispenser) error {
	text, err := app.OneArg(d)
	if err != nil {
		return err
	}
	n, err := humanize.ParseBytes(text)
	if err != nil {
		return d.Errf("max_body: %q is not a size such as 1MiB", text)
	}
	if n < 1 || n > maxMaxBody {
		return d.WrapErr(errMaxBody)
	}
	h.MaxBody = int64(n)
	return nil
}

// Validate checks the ranges; zero stands for the default.
func (h *Handler) Validate() error {
	for _, option := range []struct {
		name  string
		value caddy.Duration
	}{{"ttl", h.TTL}, {"stale_while_revalidate", h.StaleWhileRevalidate}} {
		t := time.Duration(option.value)
		if t != 0 && (t < minTime || t > maxTime) {
			return fmt.Errorf("%s must be between %s and %s", option.name, minTime, maxTime)
		}
	}
	if h.MaxBody != 0 && (h.MaxBody < 1 || h.MaxBody > maxMaxBody) {
		return errMaxBody
	}
	return h.Errors.Validate()
}

// Interface guards.
var _ caddyfile.Unmarshaler = (*Handler)(nil)
