package stockgate

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("stock_gate", parseCaddyfile)
}

const (
	pathRequired = "required"
	defaultSale  = "sale"
	minTimeout   = 10 * time.Millisecond
	maxTimeout   = time.Minute
	maxWaiting   = 1_000_000
	minProbe     = 10 * time.Millisecond
	maxProbe     = time.Minute
	probeOff     = -1
)

func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	var handler Handler
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return &handler, nil
}

// UnmarshalCaddyfile reads the directive. Syntax:
//
//	stock_gate [<matcher>] <method> <pattern> {
//	    path           required              # only behind hidden_path
//	    units          <number|placeholder>  # default 1
//	    sale           {<segment>}           # default {sale}
//	    user           <placeholder>         # default {http.auth.user.id}
//	    timeout        <duration>            # default 2s
//	    max_waiting    <number>              # default 10000
//	    sold_out_probe <duration>|off        # default 1s; off asks the stock for each buyer
//	    location       <prefix>              # default /api/orders/
//	    errors         caddy                 # default: problem documents
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) (err error) {
	d.Next() // consume the directive's name
	if h.Match, err = app.ParsePattern(d); err != nil {
		return err
	}
	err = app.ParseBlock(d, op,
		app.Option{Name: "path", Parse: func() error { return h.parsePath(d) }},
		app.Option{Name: "units", Parse: func() (err error) {
			h.Units, err = app.OneArg(d)
			return err
		}},
		app.Option{Name: "sale", Parse: func() (err error) {
			h.Sale, err = app.ParseSegment(d)
			return err
		}},
		app.Option{Name: "user", Parse: func() (err error) {
			h.User, err = app.ParsePlaceholder(d)
			return err
		}},
		app.Option{Name: "timeout", Parse: func() error {
			timeout, err := app.ParseDuration(d, minTimeout, maxTimeout)
			h.Timeout = caddy.Duration(timeout)
			return err
		}},
		app.Option{Name: "max_waiting", Parse: func() error { return h.parseMaxWaiting(d) }},
		app.Option{Name: "sold_out_probe", Parse: func() error { return h.parseProbe(d) }},
		app.Option{Name: "location", Parse: func() (err error) {
			h.Location, err = app.OneArg(d)
			return err
		}},
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

func (h *Handler) parsePath(d *caddyfile.Dispenser) (err error) {
	if h.Path, err = app.OneArg(d); err != nil {
		return err
	}
	if h.Path != pathRequired {
		return d.Errf("path %s: write required, or leave the line out", h.Path)
	}
	return nil
}

func (h *Handler) parseProbe(d *caddyfile.Dispenser) error {
	value, err := app.OneArg(d)
	switch {
	case err != nil:
		return err
	case value == "off":
		h.SoldOutProbe = probeOff
		return nil
	}
	probe, err := caddy.ParseDuration(value)
	if err != nil {
		return d.Errf("sold_out_probe: %q is not a duration, such as 60s, and not off", value)
	}
	if probe < minProbe || probe > maxProbe {
		return d.Errf("sold_out_probe must be between %s and %s, or off", minProbe, maxProbe)
	}
	h.SoldOutProbe = caddy.Duration(probe)
	return nil
}

func (h *Handler) parseMaxWaiting(d *caddyfile.Dispenser) error {
	value, err := app.OneArg(d)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > maxWaiting {
		return d.Errf("max_waiting must be a number between 1 and %d", maxWaiting)
	}
	h.MaxWaiting = n
	return nil
}

// Validate checks the settings and how they fit.
func (h *Handler) Validate() error {
	if !h.Match.IsSet() {
		return errors.New("stock_gate needs a method and a pattern, such as POST /api/sales/{sale}/orders")
	}
	sale := h.Sale
	if sale == "" {
		sale = defaultSale
	}
	switch {
	case h.Match.Method() == "GET" || h.Match.Method() == "HEAD":
		return errors.New("stock_gate must not be GET: a link must not be able to buy")
	case !slices.Contains(h.Match.Names(), sale):
		return fmt.Errorf("the pattern %s has no segment {%s}: the gate must know the sale", h.Match.Path(), sale)
	case h.Path != "" && h.Path != pathRequired:
		return fmt.Errorf("path %s: write required, or leave the line out", h.Path)
	case h.Timeout != 0 && (time.Duration(h.Timeout) < minTimeout || time.Duration(h.Timeout) > maxTimeout):
		return fmt.Errorf("timeout must be between %s and %s", minTimeout, maxTimeout)
	case h.MaxWaiting < 0 || h.MaxWaiting > maxWaiting:
		return fmt.Errorf("max_waiting must be a number between 1 and %d", maxWaiting)
	case h.SoldOutProbe != 0 && h.SoldOutProbe != probeOff && (time.Duration(h.SoldOutProbe) < minProbe || time.Duration(h.SoldOutProbe) > maxProbe):
		return fmt.Errorf("sold_out_probe must be between %s and %s, or off", minProbe, maxProbe)
	case h.Location != "" && !strings.HasPrefix(h.Location, "/") && !strings.Contains(h.Location, "://"):
		return fmt.Errorf("location %s: start it with a slash, or write a whole URL", h.Location)
	}
	if h.Units != "" && !strings.Contains(h.Units, "{") {
		if n, err := strconv.Atoi(h.Units); err != nil || n < 1 || n > flashgate.MaxUnits {
			return fmt.Errorf("units must be a placeholder or a number between 1 and %d", flashgate.MaxUnits)
		}
	}
	return h.Errors.Validate()
}

// Interface guards.
var _ caddyfile.Unmarshaler = (*Handler)(nil)
