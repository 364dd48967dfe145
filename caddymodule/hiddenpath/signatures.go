package hiddenpath

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"flashgate/caddymodule/app"
	"flashgate/internal/pathpattern"
	"flashgate/internal/signedurl"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Signatures says which signed addresses count. The guard and the matcher share it.
type Signatures struct {
	// Name of the query's parameter that is the signature: 1 to 32 letters, digits,
	// underscores and hyphens. Default: signature.
	Parameter string `json:"parameter,omitempty"`

	// What a signature must be bound to, besides the path, the method and the expiry:
	// "address" (the client's, or its network), "host", "query". Default: what the
	// signature says.
	Require []string `json:"require,omitempty"`
}

var requirable = []string{"address", "host", "query"}

func (s *Signatures) options(d *caddyfile.Dispenser) []app.Option {
	return []app.Option{
		{Name: "parameter", Parse: func() (err error) {
			s.Parameter, err = app.OneArg(d)
			if err == nil && s.Parameter == "" {
				err = d.Err("parameter is empty: name one, or leave the line out for " + signedurl.DefaultParameter)
			}
			return err
		}},
		{Name: "require", Parse: func() error {
			s.Require = d.RemainingArgs()
			if len(s.Require) == 0 {
				return d.Errf("require needs one or more of %s", strings.Join(requirable, ", "))
			}
			return nil
		}},
	}
}

func (s *Signatures) check() error {
	if s.Parameter != "" {
		if err := signedurl.CheckParameter(s.Parameter); err != nil {
			return fmt.Errorf("parameter %s: %w", s.Parameter, err)
		}
	}
	for i, r := range s.Require {
		if !slices.Contains(requirable, r) {
			return fmt.Errorf("require %s: use one or more of %s", r, strings.Join(requirable, ", "))
		}
		if slices.Contains(s.Require[:i], r) {
			return fmt.Errorf("require %s is there twice", r)
		}
	}
	return nil
}

// policy is the engine's form of the settings, with the default filled in.
func (s *Signatures) policy() signedurl.Policy {
	p := signedurl.Policy{
		Parameter:      s.Parameter,
		RequireAddress: slices.Contains(s.Require, "address"),
		RequireHost:    slices.Contains(s.Require, "host"),
		RequireQuery:   slices.Contains(s.Require, "query"),
	}
	if p.Parameter == "" {
		p.Parameter = signedurl.DefaultParameter
	}
	return p
}

// trees are the patterns of paths that signatures guard.
type trees []*pathpattern.Tree

func parseTrees(paths []string) (trees, error) {
	var ts trees
	for i, path := range paths {
		t, err := pathpattern.ParseTree(path)
		if err != nil {
			return nil, err
		}
		if slices.Contains(paths[:i], path) {
			return nil, fmt.Errorf("path %q is there twice", path)
		}
		ts = append(ts, t)
	}
	return ts, nil
}

// under reports whether some origin could take the path for one of the trees'.
func (ts trees) under(escapedPath string) bool {
	return slices.ContainsFunc(ts, func(t *pathpattern.Tree) bool { return t.Under(escapedPath) })
}

// sent is the method and the address as the client sent them. A signature vouches for
// those: rewrites in front, such as `handle_path` and `uri strip_prefix`, are the site's
// own business, and nobody who signs knows them.
func sent(r *http.Request) (method string, u *url.URL) {
	if o, ok := r.Context().Value(signedKey{}).(http.Request); ok {
		return o.Method, o.URL
	}
	if o, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && o.URL != nil {
		return o.Method, o.URL
	}
	return r.Method, r.URL
}

// facts are what the signature of a request must fit.
func facts(r *http.Request) signedurl.Facts {
	method, u := sent(r)
	path := u.RawPath // as it was sent, where that is not Go's own spelling
	if path == "" {
		path = u.EscapedPath()
	}
	address, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	client, _ := netip.ParseAddr(address) // nobody's address is the zero Addr, and fits no signature
	return signedurl.Facts{Method: method, Host: r.Host, Path: path, Query: u.RawQuery, Address: client}
}
