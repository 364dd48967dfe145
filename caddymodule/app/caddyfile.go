package app

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/dustin/go-humanize"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("flashgate", parseGlobal)
}

func parseGlobal(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		d.Next()
		return nil, d.Err("flashgate is there twice: write its options in one block")
	}
	a := new(App)
	if err := a.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "flashgate", Value: caddyconfig.JSON(a, nil)}, nil
}

// UnmarshalCaddyfile reads the global option. Syntax:
//
//	flashgate {
//	    redis    <url> {             # leave the line out: memory and SQLite
//	        session_cache <number>   # default 10000
//	    }
//	    rabbitmq <url>               # leave the line out: the embedded queue
//	    data_dir <folder>            # default ./data
//	    keys     <keys>              # default: made once, kept in the data folder
//	    page_memory <size>           # of cached pages in this process, default 64MiB
//	    state memory {               # default; with redis: redis
//	        max_size <size>          # default 64MiB
//	    }
//	    state redis <url>            # limits, captchas and pages of all gateways together, while
//	                                 # stock and sessions stay where they are
//	}
//
// redis and rabbitmq come together, and redis with keys.
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the option's name
	if d.NextArg() {
		return d.ArgErr()
	}
	var servers serverLines
	err := ParseBlock(d, "flashgate",
		Option{Name: "redis", Parse: func() error { return servers.parseRedis(d) }},
		Option{Name: "rabbitmq", Parse: func() error { return servers.parseRabbit(d) }},
		Option{Name: "data_dir", Parse: func() error { return a.parseFolder(d) }},
		Option{Name: "keys", Parse: func() error { return a.parseKeys(d) }},
		Option{Name: "page_memory", Parse: func() (err error) {
			a.PageMemory, err = parseMemory(d)
			return err
		}},
		Option{Name: "state", Parse: func() error { return a.parseState(d) }},
	)
	if err != nil {
		return err
	}
	return servers.expand(a)
}

func (a *App) parseFolder(d *caddyfile.Dispenser) error {
	value, err := OneArg(d)
	if err != nil {
		return err
	}
	if value == "" {
		return d.Errf("data_dir is empty: name a folder, or leave the line out for %s", DefaultDataDir)
	}
	a.DataDir = value
	return nil
}

// parseKeys takes any number of keys; none, or an empty one, is as good as no line.
func (a *App) parseKeys(d *caddyfile.Dispenser) error {
	a.Keys = strings.TrimSpace(strings.Join(d.RemainingArgs(), " "))
	if a.Keys == "" || strings.Contains(a.Keys, "{") {
		return nil
	}
	if _, err := openKeys(a.Keys, nil); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func (a *App) parseState(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	switch backend := d.Val(); backend {
	case "redis":
		url, err := parseURL(d, checkRedisURL)
		if err != nil {
			return err
		}
		a.StateRaw = caddyconfig.JSONModuleObject(&RedisState{URL: url}, "backend", "redis", nil)
		return nil
	case "memory":
		if d.NextArg() {
			return d.ArgErr()
		}
	default:
		return d.Errf("unknown state backend %s: use memory or redis", backend)
	}
	m := new(Memory)
	err := ParseBlock(d, "state memory", Option{Name: "max_size", Parse: func() (err error) {
		m.MaxBytes, err = parseMemory(d)
		return err
	}})
	if err != nil {
		return err
	}
	a.StateRaw = caddyconfig.JSONModuleObject(m, "backend", "memory", nil)
	return nil
}

// parseMemory reads how much of it something may take.
func parseMemory(d *caddyfile.Dispenser) (int64, error) {
	option := d.Val()
	text, err := OneArg(d)
	if err != nil {
		return 0, err
	}
	n, err := humanize.ParseBytes(text)
	if err != nil {
		return 0, d.Errf("%s: %q is not a size such as 64MiB", option, text)
	}
	if n < minMaxBytes || n > maxMaxBytes {
		return 0, d.Errf("%s must be between 1MiB and 1TiB", option)
	}
	return int64(n), nil
}

// Interface guards.
var _ caddyfile.Unmarshaler = (*App)(nil)
