package accesslimit

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

func init() {
	httpcaddyfile.RegisterDirective("access_limit", parseCaddyfile)
}

// maxName bounds a name, in bytes: it is part of every key in memory.
const maxName = 256

// parseCaddyfile sees the matcher's text, which is part of the default name.
func parseCaddyfile(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // consume the directive's name
	matcher := "*"
	if args := h.RemainingArgs(); len(args) > 0 && strings.ContainsAny(args[0][:min(1, len(args[0]))], "/@*") {
		matcher = args[0]
	}
	h.Reset()
	h.Next()
	set, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	var handler Handler
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	if handler.Name == "" {
		handler.Name = defaultName(h, &handler, matcher)
	}
	if err := handler.Validate(); err != nil {
		return nil, h.WrapErr(err)
	}
	return h.NewRoute(set, &handler), nil
}

// defaultName tells limits apart that look the same, in another site for example, by
// counting them; it does not change when other lines of the file do.
func defaultName(h httpcaddyfile.Helper, handler *Handler, matcher string) string {
	by := handler.By
	if by == "" {
		by = byAddress
	}
	name := fmt.Sprintf("%s %d %s %s", matcher, handler.Limit, time.Duration(handler.Window), by)
	const state = "flashgate.access_limit"
	seen, _ := h.State[state].(map[string]int)
	if seen == nil {
		seen = map[string]int{}
		h.State[state] = seen
	}
	if seen[name]++; seen[name] > 1 {
		name += " #" + strconv.Itoa(seen[name])
	}
	return name
}

// UnmarshalCaddyfile reads the directive. Syntax:
//
//	access_limit [<matcher>] <limit> <window> [by <user|session|address|placeholder>] {
//	    by     <user|session|address|placeholder>  # default address
//	    name   <name>                               # shares counters with the same name
//	    errors caddy                                # default: problem documents
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive's name
	args := d.RemainingArgs()
	if len(args) != 2 && (len(args) != 4 || args[2] != "by") {
		return d.Err("access_limit needs a limit and a window, such as: access_limit /buy 5 10s by user")
	}
	limit, err := strconv.Atoi(args[0])
	if err != nil {
		return d.Errf("the limit %q is not a number; write it like: access_limit /buy 5 10s by user", args[0])
	}
	window, err := caddy.ParseDuration(args[1])
	if err != nil {
		return d.Errf("the window %q is not a duration such as 10s", args[1])
	}
	if err := (flashgate.Rate{Limit: limit, Window: window}).Validate(); err != nil {
		return d.Err(publicText(err))
	}
	h.Limit, h.Window = limit, caddy.Duration(window)
	if len(args) == 4 {
		h.By = args[3]
		if err := validBy(h.By); err != nil || h.By == "" {
			return d.Errf("by %s: use user, session, address or a placeholder such as {http.request.header.X-Key}", h.By)
		}
	}
	return app.ParseBlock(d, op,
		app.Option{Name: "by", Parse: func() error { return h.parseBy(d) }},
		app.Option{Name: "name", Parse: func() error { return h.parseName(d) }},
		app.Option{Name: "errors", Parse: func() (err error) {
			h.Errors, err = app.ParseErrors(d)
			return err
		}},
	)
}

func (h *Handler) parseBy(d *caddyfile.Dispenser) error {
	if h.By != "" {
		return d.Err("by is there twice")
	}
	value, err := app.OneArg(d)
	if err != nil {
		return err
	}
	if err := validBy(value); err != nil || value == "" {
		return d.Errf("by %s: use user, session, address or a placeholder such as {http.request.header.X-Key}", value)
	}
	h.By = value
	return nil
}

func (h *Handler) parseName(d *caddyfile.Dispenser) (err error) {
	if h.Name, err = app.OneArg(d); err != nil {
		return err
	}
	if h.Name == "" || len(h.Name) > maxName {
		return d.Errf("name must be 1 to %d bytes long", maxName)
	}
	return nil
}

// publicText is an error in words for a configuration.
func publicText(err error) string {
	if e, ok := errors.AsType[*flashgate.Error](err); ok {
		return "the " + e.Field + " " + e.Message
	}
	return err.Error()
}

// Interface guards.
var _ caddyfile.Unmarshaler = (*Handler)(nil)
