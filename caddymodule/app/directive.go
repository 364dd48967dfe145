package app

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"flashgate/internal/pathpattern"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Pattern is a method-first pattern with named segments in a configuration; in JSON
// one string, such as "POST /api/sales/{sale}/path". The zero Pattern is not set and
// matches nothing.
type Pattern struct{ *pathpattern.Pattern }

// ParsePattern takes a method and a path, the next two arguments of an option.
func ParsePattern(d *caddyfile.Dispenser) (Pattern, error) {
	option := d.Val()
	var method, path string
	if !d.AllArgs(&method, &path) {
		return Pattern{}, d.Errf("%s needs a method and a pattern, such as POST /api/sales/{sale}/path", option)
	}
	p, err := pathpattern.Parse(method, path)
	if err != nil {
		return Pattern{}, d.WrapErr(err)
	}
	return Pattern{p}, nil
}

// IsSet reports whether there is a pattern.
func (p Pattern) IsSet() bool { return p.Pattern != nil }

// Matches reports whether the request is the one that the pattern names, and
// returns the values of its named segments, still escaped. With room in values it
// does not allocate.
func (p Pattern) Matches(r *http.Request, values []string) ([]string, bool) {
	if p.Pattern == nil {
		return nil, false
	}
	return p.Match(r.Method, r.URL.EscapedPath(), values)
}

// MarshalText writes the pattern as it was given.
func (p Pattern) MarshalText() ([]byte, error) {
	if p.Pattern == nil {
		return nil, nil
	}
	return []byte(p.String()), nil
}

// UnmarshalText reads "METHOD /path"; the empty text is no pattern.
func (p *Pattern) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		p.Pattern = nil
		return nil
	}
	method, path, ok := strings.Cut(string(text), " ")
	if !ok {
		return fmt.Errorf("pattern %q: write a method and a path, such as POST /api/sales/{sale}/path", text)
	}
	parsed, err := pathpattern.Parse(method, path)
	if err != nil {
		return err
	}
	p.Pattern = parsed
	return nil
}

// Errors says who writes the answer to a refused request. The zero value is the
// default: the directive itself writes a problem document (RFC 9457). "caddy" hands
// the error to the site's own handle_errors.
type Errors string

// ErrorsCaddy hands errors to handle_errors.
const ErrorsCaddy Errors = "caddy"

// Caddy reports whether errors go to handle_errors.
func (e Errors) Caddy() bool { return e == ErrorsCaddy }

// Validate checks the value.
func (e Errors) Validate() error {
	if e != "" && e != ErrorsCaddy {
		return fmt.Errorf("errors %s: write caddy, or leave it out for problem documents", e)
	}
	return nil
}

// ParseErrors takes the argument of the option `errors`.
func ParseErrors(d *caddyfile.Dispenser) (Errors, error) {
	value, err := OneArg(d)
	if err != nil {
		return "", err
	}
	e := Errors(value)
	if e == "" || e.Validate() != nil {
		return "", d.Errf("errors %s: write caddy, or leave it out for problem documents", value)
	}
	return e, nil
}

// Option is one option of a directive's block.
type Option struct {
	Name  string
	Many  bool         // may be there more than once
	Parse func() error // reads the arguments
}

// ParseBlock reads the block of a directive. It refuses an option that is unknown,
// or there twice, and names those that are allowed.
func ParseBlock(d *caddyfile.Dispenser, directive string, options ...Option) error {
	seen := map[string]bool{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		i := slices.IndexFunc(options, func(o Option) bool { return o.Name == d.Val() })
		if i < 0 {
			return d.Errf("unknown option %s of %s: use %s", d.Val(), directive, names(options))
		}
		if seen[d.Val()] && !options[i].Many {
			return d.Errf("%s is there twice", d.Val())
		}
		seen[d.Val()] = true
		if err := options[i].Parse(); err != nil {
			return err
		}
	}
	return nil
}

// names lists options for a reader: a, b or c.
func names(options []Option) string {
	var b strings.Builder
	for i, o := range options {
		switch {
		case i == 0:
		case i == len(options)-1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(o.Name)
	}
	return b.String()
}
