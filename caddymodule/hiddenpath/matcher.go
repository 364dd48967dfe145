package hiddenpath

import (
	"net/http"
	"reflect"
	"slices"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/internal/pathpattern"
	"flashgate/internal/signedurl"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types/ref"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(&SignedPath{})
}

// matcherOp names the matcher in errors.
const matcherOp = "signed_path"

// The matcher's placeholders.
const (
	placeStatus  = "http.matchers.signed_path.status"
	placeExpires = "http.matchers.signed_path.expires"
)

// SignedPath matches requests whose address is signed, for use with any handler. The
// signature is judged over the address as the client sent it, whatever rewrites came in
// front; a path that servers read in more than one way never matches.
//
// After it was asked `{http.matchers.signed_path.status}` is valid, expired, invalid or
// missing, and `{http.matchers.signed_path.expires}` the Unix time at which a valid or
// expired address ends. A request outside Paths is not judged: they stay as they are, empty
// at first.
//
// It opens what it is put in front of and guards nothing by itself: what must not be seen
// needs a handler for those that do not match, or the directive hidden_path.
type SignedPath struct {
	// Paths at or below which to match, such as /files/*. A star is one segment.
	// Default: all.
	Paths []string `json:"paths,omitempty"`

	Signatures

	app    *app.App
	trees  trees
	verify signedurl.Policy
}

// CaddyModule returns the Caddy module information.
func (*SignedPath) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.matchers.signed_path", New: func() caddy.Module { return new(SignedPath) }}
}

// UnmarshalCaddyfile reads the matcher. Syntax:
//
//	signed_path [<path>...] {
//	    parameter <name>                  # default signature
//	    require   address | host | query  # one or more; default: what the signature says
//	}
func (m *SignedPath) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the matcher's name
	m.Paths = d.RemainingArgs()
	if err := app.ParseBlock(d, matcherOp, m.options(d)...); err != nil {
		return err
	}
	if d.Next() {
		return d.Errf("%s is there twice: write its paths in one line", matcherOp)
	}
	if err := m.Validate(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// Validate checks the settings.
func (m *SignedPath) Validate() error {
	if _, err := parseTrees(m.Paths); err != nil {
		return err
	}
	return m.check()
}

// Provision finds the app.
func (m *SignedPath) Provision(ctx caddy.Context) (err error) {
	if err := m.Validate(); err != nil {
		return err
	}
	if m.trees, err = parseTrees(m.Paths); err != nil {
		return err
	}
	m.verify = m.policy()
	m.app, err = app.Get(ctx)
	return err
}

// MatchWithError reports whether the request's address is signed. An error means that
// nobody knows, as there are no keys: neither this matcher nor its negation lets pass.
func (m *SignedPath) MatchWithError(r *http.Request) (bool, error) {
	f := facts(r)
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if m.outside(f.Path) {
		for _, name := range []string{placeStatus, placeExpires} {
			if _, ok := repl.Get(name); !ok {
				repl.Set(name, "")
			}
		}
		return false, nil
	}
	keys, err := m.app.Keyring()
	if err != nil {
		return false, caddyhttp.Error(flashgate.Info(flashgate.ErrorCode(err)).Status, err)
	}
	result := m.verify.Verify(keys, f, time.Now())
	repl.Set(placeStatus, string(result.Status))
	var expires any = ""
	if !result.Expires.IsZero() {
		expires = result.Expires.Unix()
	}
	repl.Set(placeExpires, expires)
	return result.Status == signedurl.Valid, nil
}

// outside reports whether a path is plainly none of Paths. One that servers read in more
// than one way is judged: it is invalid.
func (m *SignedPath) outside(escapedPath string) bool {
	if len(m.trees) == 0 {
		return false
	}
	path, ok := signedurl.Canonical(escapedPath)
	return ok && !slices.ContainsFunc(m.trees, func(t *pathpattern.Tree) bool { return t.Has(path) })
}

// CELLibrary makes the matcher available to expressions, with the default settings. At
// least one path is needed; '/*' is all:
//
//	expression signed_path('/files/*')
func (*SignedPath) CELLibrary(ctx caddy.Context) (cel.Library, error) {
	return caddyhttp.CELMatcherImpl("signed_path", "signed_path_request_list", []*cel.Type{cel.ListType(cel.StringType)},
		func(data ref.Val) (caddyhttp.RequestMatcherWithError, error) {
			paths, err := data.ConvertToNative(reflect.TypeFor[[]string]())
			if err != nil {
				return nil, err
			}
			m := &SignedPath{Paths: paths.([]string)}
			return m, m.Provision(ctx)
		})
}

// Interface guards.
var (
	_ caddy.Provisioner                 = (*SignedPath)(nil)
	_ caddy.Validator                   = (*SignedPath)(nil)
	_ caddyfile.Unmarshaler             = (*SignedPath)(nil)
	_ caddyhttp.RequestMatcherWithError = (*SignedPath)(nil)
	_ caddyhttp.CELLibraryProducer      = (*SignedPath)(nil)
)
