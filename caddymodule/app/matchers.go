package app

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// ParseMatchers reads an option that is a block of matchers; its requests match all.
func ParseMatchers(d *caddyfile.Dispenser, to *caddyhttp.RawMatcherSets) error {
	option := d.Val()
	example := option + " needs a block of matchers, such as: " + option + " { remote_ip 10.0.0.0/8 }"
	if d.NextArg() {
		return d.Err(example)
	}
	set, err := caddyhttp.ParseCaddyfileNestedMatcherSet(d)
	if err != nil {
		return err
	}
	if len(set) == 0 {
		return d.Err(example)
	}
	*to = append(*to, set)
	return nil
}

// LoadMatchers loads the matchers of a module's field.
func LoadMatchers(ctx caddy.Context, module any, field string, to *caddyhttp.MatcherSets) error {
	matchers, err := ctx.LoadModule(module, field)
	if err != nil {
		return err
	}
	return to.FromInterface(matchers)
}
