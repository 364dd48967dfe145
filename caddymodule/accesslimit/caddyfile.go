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
	if name := segment.FindString(matcher); name != "" {
		return nil, h.Errf("the path %s never matches: it has no named segments; write %s, and for the segment {path.0}, {path.1} and so on", matcher, segment.ReplaceAllLiteralString(matcher, "*"))
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
	for _, l := range handler.Limits {
		if l.Name == "" {
			l.Name = defaultName(h, l, matcher)
		}
		if err := sameRate(h, l); err != nil {
			return nil, err
		}
	}
	if err := handler.Validate(); err != nil {
		return nil, h.WrapErr(err)
	}
	return h.NewRoute(set, &handler), nil
}

// defaultName tells limits apart that look the same, in another site for example, by
// counting them; it does not change when other lines of the file do.
func defaultName(h httpcaddyfile.Helper, l *Limit, matcher string) string {
	by := byAddress
	if len(l.By) > 0 {
		by = strings.Join(l.By, " ")
	}
	name := strings.Map(printable, fmt.Sprintf("%s %d %s %s", matcher, l.Limit, time.Duration(l.Window), by))
	name = name[:min(len(name), maxName-8)]
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

func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return '?'
	}
	return r
}

// sameRate refuses two limits of one name that count differently: they share counters.
func sameRate(h httpcaddyfile.Helper, l *Limit) error {
	const state = "flashgate.access_limit.rates"
	rates, _ := h.State[state].(map[string]flashgate.Rate)
	if rates == nil {
		rates = map[string]flashgate.Rate{}
		h.State[state] = rates
	}
	rate := l.rate()
	if rate.Algorithm == "" {
		rate.Algorithm = flashgate.SlidingWindow
	}
	if before, ok := rates[l.Name]; ok && before != rate {
		return h.Errf("the limit %s is there already with another rate, %d in %v: limits of one name share their counters; give this one another name", l.Name, before.Limit, before.Window)
	}
	rates[l.Name] = rate
	return nil
}

// UnmarshalCaddyfile reads the directive. Syntax:
//
//	access_limit [<matcher>] [<limit> <window> [by <key>...]] {
//	    by          <key>...     # who is counted; default address. Keys: user, session, address, all,
//	                             # header <name>, cookie <name>, query <name>, any placeholder
//	    name        <name>       # shares counters with limits of the same name
//	    algorithm   sliding_window | fixed_window | token_bucket [<burst>]
//	    prefix      <IPv4 bits> <IPv6 bits>   # of an address; default 32 64
//	    cost        <number or placeholder>   # of a request; default 1
//	    lease       <units>      # taken from Redis at once for a busy key
//	    dry_run                  # counts and reports, refuses nobody
//	    step_up                  # past it a captcha is needed
//	    ban <duration> after <refusals> in <window>   # whoever is refused too often
//	    limit <limit> <window> [by <key>...] { … }   # one more, with the options above
//
//	    exempt { <matchers> }    # requests that are not counted
//	    block { <matchers> }     # requests that are refused: 403
//	    when_away closed | open | local [<percent>]  # while Redis is away; default closed
//	    sensitive                # no RateLimit headers
//	    errors caddy             # default: problem documents
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive's name
	first := new(Limit)
	args := d.RemainingArgs()
	if len(args) > 0 {
		if err := first.parseRate(d, args); err != nil {
			return err
		}
		h.Limits = append(h.Limits, first)
	}
	options := append(first.options(d),
		app.Option{Name: "limit", Many: true, Parse: func() error { return h.parseLimit(d) }},
		app.Option{Name: "exempt", Many: true, Parse: func() error { return app.ParseMatchers(d, &h.ExemptRaw) }},
		app.Option{Name: "block", Many: true, Parse: func() error { return app.ParseMatchers(d, &h.BlockRaw) }},
		app.Option{Name: "when_away", Parse: func() error { return h.parseAway(d) }},
		app.Option{Name: "sensitive", Parse: func() error { return flag(d, &h.Sensitive) }},
		app.Option{Name: "errors", Parse: func() (err error) {
			h.Errors, err = app.ParseErrors(d)
			return err
		}},
	)
	if err := app.ParseBlock(d, op, options...); err != nil {
		return err
	}
	if len(h.Limits) == 0 {
		return d.Err("access_limit needs a limit and a window, such as: access_limit /buy 5 10s by user")
	}
	if len(args) == 0 && !first.isZero() {
		return d.Err("an option of a limit stands outside of one: write it into the block of limit, or give access_limit a limit and a window itself")
	}
	return nil
}

func (l *Limit) isZero() bool {
	return l.Name == "" && l.Algorithm == "" && l.By == nil && l.IPv4Prefix == 0 && l.Cost == "" && !l.DryRun && !l.StepUp && l.Lease == 0 && l.Escalation == nil
}

func (h *Handler) parseLimit(d *caddyfile.Dispenser) error {
	l := new(Limit)
	if err := l.parseRate(d, d.RemainingArgs()); err != nil {
		return err
	}
	h.Limits = append(h.Limits, l)
	return app.ParseBlock(d, "limit", l.options(d)...)
}

// parseRate reads <limit> <window> [by <key>...].
func (l *Limit) parseRate(d *caddyfile.Dispenser, args []string) error {
	if len(args) < 2 || len(args) == 3 || len(args) > 3 && args[2] != "by" {
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
	l.Limit, l.Window = limit, caddy.Duration(window)
	if len(args) > 3 {
		return l.parseBy(d, args[3:])
	}
	return nil
}

func (h *Handler) parseAway(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	switch {
	case len(args) == 0 || len(args) > 2 || len(args) == 2 && args[0] != awayLocal:
		return d.Err("when_away needs one of open, closed or local, and local may have a share, such as: when_away local 50%")
	case args[0] != awayOpen && args[0] != awayClosed && args[0] != awayLocal:
		return d.Errf("when_away %s: write open, closed or local", args[0])
	}
	h.WhenAway = args[0]
	if len(args) == 2 {
		share, err := strconv.Atoi(strings.TrimSuffix(args[1], "%"))
		if err != nil || share < 1 || share > 100 {
			return d.Errf("the share %s must be 1%% to 100%%", args[1])
		}
		h.LocalShare = share
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
