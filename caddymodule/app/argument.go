package app

import (
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// OneArg takes exactly one argument.
func OneArg(d *caddyfile.Dispenser) (string, error) {
	if !d.NextArg() {
		return "", d.ArgErr()
	}
	value := d.Val()
	if d.NextArg() {
		return "", d.ArgErr()
	}
	return value, nil
}

// ParseSegment takes the name of a pattern's segment in braces, such as {sale}, and
// returns it without them.
func ParseSegment(d *caddyfile.Dispenser) (string, error) {
	option := d.Val()
	value, err := OneArg(d)
	if err != nil {
		return "", err
	}
	name, opened := strings.CutPrefix(value, "{")
	name, closed := strings.CutSuffix(name, "}")
	if !opened || !closed || name == "" || strings.ContainsAny(name, "{}.") {
		return "", d.Errf("%s %s: name a segment of the pattern in braces, such as {sale}", option, value)
	}
	return name, nil
}

// ParsePlaceholder takes one argument with a placeholder in it, such as
// {http.auth.user.id}: a constant would make all visitors the same one.
func ParsePlaceholder(d *caddyfile.Dispenser) (string, error) {
	option := d.Val()
	value, err := OneArg(d)
	if err != nil {
		return "", err
	}
	open := strings.IndexByte(value, '{')
	if open < 0 || strings.IndexByte(value[open:], '}') < 2 {
		return "", d.Errf("%s %q: write a placeholder, such as {http.auth.user.id}", option, value)
	}
	return value, nil
}

// ParseDuration takes a duration between shortest and longest.
func ParseDuration(d *caddyfile.Dispenser, shortest, longest time.Duration) (time.Duration, error) {
	option := d.Val()
	value, err := OneArg(d)
	if err != nil {
		return 0, err
	}
	t, err := caddy.ParseDuration(value)
	if err != nil {
		return 0, d.Errf("%s: %q is not a duration, such as 60s", option, value)
	}
	if t < shortest || t > longest {
		return 0, d.Errf("%s must be between %s and %s", option, shortest, longest)
	}
	return t, nil
}
