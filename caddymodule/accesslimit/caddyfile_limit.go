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
)

// options are those of one limit.
func (l *Limit) options(d *caddyfile.Dispenser) []app.Option {
	return []app.Option{
		{Name: "by", Parse: func() error { return l.parseBy(d, d.RemainingArgs()) }},
		{Name: "name", Parse: func() error { return l.parseName(d) }},
		{Name: "algorithm", Parse: func() error { return l.parseAlgorithm(d) }},
		{Name: "prefix", Parse: func() error { return l.parsePrefix(d) }},
		{Name: "cost", Parse: func() error { return l.parseCost(d) }},
		{Name: "lease", Parse: func() error { return l.parseLease(d) }},
		{Name: "ban", Parse: func() error { return l.parseBan(d) }},
		{Name: "dry_run", Parse: func() error { return flag(d, &l.DryRun) }},
		{Name: "step_up", Parse: func() error { return l.parseStepUp(d) }},
	}
}

func flag(d *caddyfile.Dispenser, to *bool) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	*to = true
	return nil
}

func (l *Limit) parseStepUp(d *caddyfile.Dispenser) error {
	l.StepUp = true
	switch args := d.RemainingArgs(); len(args) {
	case 0:
		return nil
	case 1:
		l.Challenge = args[0]
		if err := l.validChallenge(); err != nil {
			return d.WrapErr(err)
		}
		return nil
	default:
		return d.ArgErr()
	}
}

// parseBy reads keys; header, cookie and query are placeholders with a shorter name.
func (l *Limit) parseBy(d *caddyfile.Dispenser, args []string) error {
	if l.By != nil {
		return d.Err("by is there twice")
	}
	if len(args) == 0 {
		return d.ArgErr()
	}
	for i := 0; i < len(args); i++ {
		by := args[i]
		if by == "header" || by == "cookie" || by == "query" {
			if i++; i == len(args) {
				return d.Errf("by %s needs a name, such as: by %s key", by, by)
			}
			form := map[string]string{"header": "{http.request.header.%s}", "cookie": "{http.request.cookie.%s}", "query": "{http.request.uri.query.%s}"}[by]
			by = fmt.Sprintf(form, args[i])
		}
		if err := validBy(by); err != nil {
			return d.WrapErr(err)
		}
		l.By = append(l.By, by)
	}
	return nil
}

func (l *Limit) parseName(d *caddyfile.Dispenser) (err error) {
	if l.Name, err = app.OneArg(d); err != nil {
		return err
	}
	if l.Name == "" || len(l.Name) > maxName || strings.Map(printable, l.Name) != l.Name {
		return d.Errf("name must be 1 to %d printable ASCII characters", maxName)
	}
	return nil
}

func (l *Limit) parseAlgorithm(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.ArgErr()
	}
	l.Algorithm = flashgate.Algorithm(args[0])
	rate := flashgate.Rate{Limit: 1, Window: time.Second, Algorithm: l.Algorithm}
	if err := rate.Validate(); err != nil {
		return d.Errf("algorithm %s: use sliding_window, fixed_window or token_bucket", args[0])
	}
	switch {
	case len(args) == 1:
		return nil
	case len(args) > 2 || l.Algorithm != flashgate.TokenBucket:
		return d.Errf("algorithm %s takes nothing more; only token_bucket has a burst", args[0])
	}
	burst, err := strconv.Atoi(args[1])
	if rate.Burst = burst; err != nil || burst < 1 || rate.Validate() != nil {
		return d.Errf("the burst %q must be a number between 1 and 1000000", args[1])
	}
	l.Burst = burst
	return nil
}

func (l *Limit) parseCost(d *caddyfile.Dispenser) (err error) {
	if l.Cost, err = app.OneArg(d); err != nil {
		return err
	}
	if err := validCost(l.Cost); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func (l *Limit) parsePrefix(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Err("prefix needs the bits of IPv4 and of IPv6, such as: prefix 24 56")
	}
	four, err4 := strconv.Atoi(args[0])
	six, err6 := strconv.Atoi(args[1])
	if errors.Join(err4, err6) != nil || four < 1 || four > 32 || six < 1 || six > 128 {
		return d.Errf("prefix %s %s: write the bits of IPv4 (1 to 32) and of IPv6 (1 to 128), such as 24 56", args[0], args[1])
	}
	l.IPv4Prefix, l.IPv6Prefix = four, six
	return nil
}

func (l *Limit) parseLease(d *caddyfile.Dispenser) error {
	value, err := app.OneArg(d)
	if err != nil {
		return err
	}
	if l.Lease, err = strconv.Atoi(value); err != nil || l.Lease < 2 || l.Lease > 10_000 {
		return d.Errf("lease %s: write how many units a gateway may take at once, 2 to 10000", value)
	}
	return nil
}

// parseBan reads <duration> after <refusals> in <window>.
func (l *Limit) parseBan(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 5 || args[1] != "after" || args[3] != "in" {
		return d.Err("ban needs how long, after how many refusals, in how long, such as: ban 10m after 20 in 1m")
	}
	hold, err := caddy.ParseDuration(args[0])
	if err != nil {
		return d.Errf("ban: %q is not a duration such as 10m", args[0])
	}
	after, err := strconv.Atoi(args[2])
	if err != nil {
		return d.Errf("ban: %q is not a number of refusals", args[2])
	}
	within, err := caddy.ParseDuration(args[4])
	if err != nil {
		return d.Errf("ban: %q is not a duration such as 1m", args[4])
	}
	l.Escalation = &Escalation{For: caddy.Duration(hold), After: after, Within: caddy.Duration(within)}
	if err := l.Escalation.Validate(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}
