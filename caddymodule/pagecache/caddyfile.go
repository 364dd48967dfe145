package pagecache

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"flashgate/caddymodule/app"
	"flashgate/internal/httpcache"

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
	minTime       = time.Millisecond
	maxTime       = 365 * 24 * time.Hour
	maxMaxBody    = 64 << 20
	minExplainKey = 16
)

var (
	errMaxBody    = errors.New("max_body must be between 1B and 64MiB")
	errExplainKey = errors.New("explain_key must have at least 16 bytes; a variable such as {env.EXPLAIN_KEY} may be empty")
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
//	page_cache [<matcher>] {
//	    ttl                    <duration>           # default: only what the origin says
//	    ttl_override           <duration>           # default: what the origin says
//	    status                 <codes...> <duration># may be there more than once; default: none
//	    heuristic                                   # default: no guess
//	    stale_while_revalidate <duration>           # default: nothing stale
//	    stale_if_error         <duration>           # default: nothing stale
//	    stale_if_unreachable   <duration>|off       # default 1h
//	    key {
//	        any_host                                # default: each host has its own pages
//	        query  <names...>|none                  # default: the whole query
//	        header <names...>
//	        cookie <names...>
//	    }
//	    bypass { <matchers> }                       # may be there more than once
//	    max_body               <size>               # default 1MiB
//	    ignore_client_cache_control                 # default: heeded
//	    browser_cache_control  <value>              # default: the origin's
//	    etag                   weak|strong          # default: only the origin's
//	    explain_key            <text>               # default: nobody is told
//	    purge_from             <networks...>        # default: nobody
//	    errors                 caddy                # default: problem documents
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive's name
	if d.NextArg() {
		return d.Errf("%s takes nothing but a matcher and a block of options, such as: page_cache /goods/*, and ttl 10s in a block", op)
	}
	return app.ParseBlock(d, op,
		app.Option{Name: "ttl", Parse: func() error { return parseTime(d, &h.TTL) }},
		app.Option{Name: "ttl_override", Parse: func() error { return parseTime(d, &h.TTLOverride) }},
		app.Option{Name: "status", Many: true, Parse: func() error { return h.parseStatus(d) }},
		app.Option{Name: "heuristic", Parse: func() error { return parseSwitch(d, &h.Heuristic) }},
		app.Option{Name: "stale_while_revalidate", Parse: func() error { return parseTime(d, &h.StaleWhileRevalidate) }},
		app.Option{Name: "stale_if_error", Parse: func() error { return parseTime(d, &h.StaleIfError) }},
		app.Option{Name: "stale_if_unreachable", Parse: func() error { return h.parseUnreachable(d) }},
		app.Option{Name: "key", Parse: func() error { return h.parseKey(d) }},
		app.Option{Name: "bypass", Many: true, Parse: func() error { return app.ParseMatchers(d, &h.BypassRaw) }},
		app.Option{Name: "max_body", Parse: func() error { return h.parseMaxBody(d) }},
		app.Option{Name: "ignore_client_cache_control", Parse: func() error { return parseSwitch(d, &h.IgnoreClientCacheControl) }},
		app.Option{Name: "browser_cache_control", Parse: func() (err error) {
			h.BrowserCacheControl, err = oneArg(d, `"public, max-age=60"`)
			return err
		}},
		app.Option{Name: "etag", Parse: func() error { return h.parseETag(d) }},
		app.Option{Name: "explain_key", Parse: func() error { return h.parseExplainKey(d) }},
		app.Option{Name: "purge_from", Parse: func() error { return h.parsePurgeFrom(d) }},
		app.Option{Name: "errors", Parse: func() error { return h.parseErrors(d) }},
	)
}

// oneArg takes exactly one argument that is not empty.
func oneArg(d *caddyfile.Dispenser, example string) (string, error) {
	option := d.Val()
	if args := d.RemainingArgs(); len(args) == 1 && args[0] != "" {
		return args[0], nil
	}
	return "", d.Errf("%s needs one value, such as: %s %s", option, option, example)
}

func parseTime(d *caddyfile.Dispenser, to *caddy.Duration) error {
	if d.CountRemainingArgs() != 1 {
		return d.Errf("%s needs one duration, such as: %s 10s", d.Val(), d.Val())
	}
	t, err := app.ParseDuration(d, minTime, maxTime)
	*to = caddy.Duration(t)
	return err
}

func parseSwitch(d *caddyfile.Dispenser, to *bool) error {
	option := d.Val()
	if d.NextArg() {
		return d.Errf("%s takes no argument: write it alone, or leave it out", option)
	}
	*to = true
	return nil
}

func (h *Handler) parseUnreachable(d *caddyfile.Dispenser) error {
	if d.CountRemainingArgs() == 1 {
		d.NextArg()
		if d.Val() == "off" {
			h.StaleIfUnreachable = -1
			return nil
		}
		d.Prev()
	}
	if d.CountRemainingArgs() != 1 {
		return d.Err("stale_if_unreachable needs one duration, or off, such as: stale_if_unreachable 24h")
	}
	return parseTime(d, &h.StaleIfUnreachable)
}

func (h *Handler) parseStatus(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 2 {
		return d.Err("status needs codes and a duration, such as: status 404 410 10s")
	}
	last := args[len(args)-1]
	ttl, err := caddy.ParseDuration(last)
	if err != nil {
		return d.Errf("status: %q is not a duration, such as 10s", last)
	}
	for _, arg := range args[:len(args)-1] {
		status, err := strconv.Atoi(arg)
		if err != nil {
			return d.Errf("status: %q is not a code, such as 404", arg)
		}
		if h.Statuses == nil {
			h.Statuses = map[int]caddy.Duration{}
		}
		if _, ok := h.Statuses[status]; ok {
			return d.Errf("status: %d is there twice", status)
		}
		if err := validStatus(status, ttl); err != nil {
			return d.WrapErr(err)
		}
		h.Statuses[status] = caddy.Duration(ttl)
	}
	return nil
}

func (h *Handler) parseKey(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.Err("key needs a block, with a line such as: query id page")
	}
	h.Key = new(Key)
	names := func(to *[]string) error {
		option := d.Val()
		*to = append(*to, d.RemainingArgs()...)
		if len(*to) == 0 || slices.Contains(*to, "") {
			return d.Errf("%s needs names, such as: %s %s", option, option, map[string]string{"query": "id page, or: query none", "header": "Accept-Language", "cookie": "theme"}[option])
		}
		return nil
	}
	err := app.ParseBlock(d, "key",
		app.Option{Name: "any_host", Parse: func() error { return parseSwitch(d, &h.Key.AnyHost) }},
		app.Option{Name: "query", Parse: func() error {
			h.Key.Query = new([]string)
			if err := names(h.Key.Query); err != nil {
				return err
			}
			if slices.Contains(*h.Key.Query, "none") {
				if len(*h.Key.Query) > 1 {
					return d.Err("query: write none alone, or the names of parameters")
				}
				*h.Key.Query = []string{}
			}
			return nil
		}},
		app.Option{Name: "header", Parse: func() error { return names(&h.Key.Headers) }},
		app.Option{Name: "cookie", Parse: func() error { return names(&h.Key.Cookies) }},
	)
	if err == nil && !h.Key.AnyHost && h.Key.Query == nil && len(h.Key.Headers)+len(h.Key.Cookies) == 0 {
		return d.Err("key is empty: use any_host, query, header or cookie")
	}
	return err
}

func (h *Handler) parseMaxBody(d *caddyfile.Dispenser) error {
	text, err := oneArg(d, "1MiB")
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

func (h *Handler) parseETag(d *caddyfile.Dispenser) error {
	text, err := oneArg(d, "weak")
	if err != nil {
		return err
	}
	h.ETag = httpcache.ETag(text)
	if h.ETag != httpcache.ETagWeak && h.ETag != httpcache.ETagStrong {
		return d.Errf("etag %s: write weak or strong, or leave it out for the origin's", text)
	}
	return nil
}

func (h *Handler) parsePurgeFrom(d *caddyfile.Dispenser) error {
	h.PurgeFrom = d.RemainingArgs()
	if len(h.PurgeFrom) == 0 {
		return d.Err("purge_from needs networks, such as: purge_from 127.0.0.1 10.0.0.0/8")
	}
	if _, err := networks(h.PurgeFrom); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// parseExplainKey cannot know what a placeholder will stand for.
func (h *Handler) parseExplainKey(d *caddyfile.Dispenser) (err error) {
	if h.ExplainKey, err = oneArg(d, "{env.EXPLAIN_KEY}"); err != nil {
		return err
	}
	if !strings.Contains(h.ExplainKey, "{") && len(h.ExplainKey) < minExplainKey {
		return d.WrapErr(errExplainKey)
	}
	return nil
}

func (h *Handler) parseErrors(d *caddyfile.Dispenser) (err error) {
	if d.CountRemainingArgs() != 1 {
		return d.Err("errors needs one value: write caddy, or leave it out for problem documents")
	}
	h.Errors, err = app.ParseErrors(d)
	return err
}

func validStatus(status int, ttl time.Duration) error {
	switch {
	case status < 200 || status > 599 || status == http.StatusPartialContent || status == http.StatusNotModified || status == http.StatusRequestedRangeNotSatisfiable:
		return fmt.Errorf("status: an answer with %d cannot be kept: use a code from 200 to 599 other than 206, 304 and 416", status)
	case ttl < minTime || ttl > maxTime:
		return fmt.Errorf("status: the duration must be between %s and %s", minTime, maxTime)
	}
	return nil
}

// Validate checks the ranges; zero stands for the default.
func (h *Handler) Validate() error {
	for _, option := range []struct {
		name  string
		value caddy.Duration
	}{
		{"ttl", h.TTL}, {"ttl_override", h.TTLOverride}, {"stale_while_revalidate", h.StaleWhileRevalidate},
		{"stale_if_error", h.StaleIfError}, {"stale_if_unreachable", max(h.StaleIfUnreachable, 0)},
	} {
		t := time.Duration(option.value)
		if t != 0 && (t < minTime || t > maxTime) {
			return fmt.Errorf("%s must be between %s and %s", option.name, minTime, maxTime)
		}
	}
	for status, ttl := range h.Statuses {
		if err := validStatus(status, time.Duration(ttl)); err != nil {
			return err
		}
	}
	if h.StaleIfUnreachable < -1 {
		return errors.New("stale_if_unreachable must be -1 for off, or a duration")
	}
	if h.MaxBody != 0 && (h.MaxBody < 1 || h.MaxBody > maxMaxBody) {
		return errMaxBody
	}
	if strings.ContainsAny(h.BrowserCacheControl, "\r\n\x00") {
		return errors.New("browser_cache_control must be one line")
	}
	switch h.ETag {
	case httpcache.ETagNone, httpcache.ETagWeak, httpcache.ETagStrong:
	default:
		return fmt.Errorf("etag %s: write weak or strong, or leave it out for the origin's", h.ETag)
	}
	if h.Key != nil {
		names := slices.Concat(h.Key.Headers, h.Key.Cookies)
		if h.Key.Query != nil {
			names = append(names, *h.Key.Query...)
		}
		if slices.Contains(names, "") {
			return errors.New("key: a name must not be empty")
		}
	}
	if _, err := networks(h.PurgeFrom); err != nil {
		return err
	}
	return h.Errors.Validate()
}

// Interface guards.
var _ caddyfile.Unmarshaler = (*Handler)(nil)
