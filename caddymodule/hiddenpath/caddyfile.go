package hiddenpath

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"flashgate/caddymodule/app"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("hidden_path", parseCaddyfile)
}

const (
	defaultTTL = 60 * time.Second
	minTTL     = time.Second
	maxTTL     = 24 * time.Hour
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
//	hidden_path [<matcher>] {
//	    mint    POST <pattern>          # answers with a token
//	    guard   POST <pattern>          # the last segment is the token
//	    sale    {<segment>}             # default: no sale, one use
//	    ttl     <duration>              # default 60s
//	    user    <placeholder>           # default {http.auth.user.id}
//	    session <placeholder>           # default {http.auth.user.session}
//	    errors  caddy                   # default: problem documents
//	}
//
// or, for addresses that were signed elsewhere:
//
//	hidden_path [<matcher>] {
//	    signed    <path>                  # such as /files/*; may be repeated
//	    parameter <name>                  # default signature
//	    require   address | host | query  # one or more; default: what the signature says
//	    errors    caddy                   # default: problem documents
//	}
//
// What a matcher does not match is not guarded: leave it out, the patterns are
// matcher enough.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive's name
	if d.NextArg() {
		return d.ArgErr()
	}
	err := app.ParseBlock(d, op, append([]app.Option{
		{Name: "mint", Parse: func() (err error) {
			h.Mint, err = app.ParsePattern(d)
			return err
		}},
		{Name: "guard", Parse: func() (err error) {
			h.Guard, err = app.ParsePattern(d)
			return err
		}},
		{Name: "sale", Parse: func() (err error) {
			h.Sale, err = app.ParseSegment(d)
			return err
		}},
		{Name: "ttl", Parse: func() error {
			ttl, err := app.ParseDuration(d, minTTL, maxTTL)
			h.TTL = caddy.Duration(ttl)
			return err
		}},
		{Name: "user", Parse: func() (err error) {
			h.User, err = app.ParsePlaceholder(d)
			return err
		}},
		{Name: "session", Parse: func() (err error) {
			h.Session, err = app.ParsePlaceholder(d)
			return err
		}},
		{Name: "errors", Parse: func() (err error) {
			h.Errors, err = app.ParseErrors(d)
			return err
		}},
	}, h.signedOptions(d)...)...)
	if err != nil {
		return err
	}
	if err := h.Validate(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// Validate checks the settings and how the two patterns fit.
func (h *Handler) Validate() error {
	if err := h.checkSigned(); err != nil || len(h.Signed) > 0 {
		return err
	}
	switch {
	case !h.Mint.IsSet():
		return errors.New("hidden_path needs a line such as: mint POST /api/sales/{sale}/path")
	case !h.Guard.IsSet():
		return errors.New("hidden_path needs a line such as: guard POST /api/sales/{sale}/orders/{token}")
	case h.Mint.Method() != "POST":
		return errors.New("mint must be POST: a link or a picture must not be able to ask for a token")
	case h.Guard.Method() != "POST":
		return errors.New("guard must be POST: an address that is opened with GET stays in histories, and links and pictures can open it")
	case h.TTL != 0 && (time.Duration(h.TTL) < minTTL || time.Duration(h.TTL) > maxTTL):
		return fmt.Errorf("ttl must be between %s and %s", minTTL, maxTTL)
	}
	mint, guard := h.Mint.Names(), h.Guard.Names()
	if len(guard) == 0 || !strings.HasSuffix(h.Guard.Path(), "/{"+guard[len(guard)-1]+"}") {
		return errors.New("guard must end in a named segment, the token, such as /{token}")
	}
	shared := guard[:len(guard)-1]
	for _, n := range shared {
		if !slices.Contains(mint, n) {
			return fmt.Errorf("guard has the segment {%s}, mint has not: a token must be minted for each of its values", n)
		}
	}
	if h.Sale != "" && !slices.Contains(shared, h.Sale) {
		return fmt.Errorf("sale {%s} is not a named segment of guard in front of the token", h.Sale)
	}
	return h.Errors.Validate()
}

// Interface guards.
var _ caddyfile.Unmarshaler = (*Handler)(nil)
