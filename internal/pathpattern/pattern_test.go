package pathpattern_test

import (
	"slices"
	"strings"
	"testing"

	"flashgate/internal/pathpattern"
)

func mustParse(tb testing.TB, method, path string) *pathpattern.Pattern {
	tb.Helper()
	p, err := pathpattern.Parse(method, path)
	if err != nil {
		tb.Fatalf("Parse(%q, %q): %v", method, path, err)
	}
	return p
}

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		method, path string
		names        []string
	}{
		{"POST", "/api/sales/{sale}/orders/{token}", []string{"sale", "token"}},
		{"GET", "/orders", nil},
		{"GET", "/{a}", []string{"a"}},
		{"PATCH", "/{a_1}/{path_id}/b", []string{"a_1", "path_id"}},
		{"GET", "/.well-known/a..b/v1.", nil},
		{"GET", "/a:b@c/(1)!$&'+,=~_-", nil},
		{"GET", "/%E5%95%86%e5%93%81/{id}", []string{"id"}},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			t.Parallel()
			p := mustParse(t, tt.method, tt.path)
			if got := p.Names(); !slices.Equal(got, tt.names) {
				t.Errorf("Names() = %q, want %q", got, tt.names)
			}
			if p.Method() != tt.method || p.Path() != tt.path || p.String() != tt.method+" "+tt.path {
				t.Errorf("Method, Path, String = %q, %q, %q", p.Method(), p.Path(), p.String())
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ method, path, want string }{
		{"", "/a", `the method is missing: start the pattern with one, such as POST`},
		{"post", "/a", `"post" is not a method: start the pattern with one in capital letters, such as POST`},
		{"/a", "", `"/a" is not a method: start the pattern with one in capital letters, such as POST`},
		{"M-SEARCH", "/a", `"M-SEARCH" is not a method: start the pattern with one in capital letters, such as POST`},
		{"GET", "", `path "": must start with a slash`},
		{"GET", "a/b", `path "a/b": must start with a slash`},
		{"GET", "/", `path "/": has no segment: name at least one, such as /orders`},
		{"GET", "/a/", `path "/a/": has an empty segment: remove the double or trailing slash`},
		{"GET", "/a//b", `path "/a//b": has an empty segment: remove the double or trailing slash`},
		{"GET", "//a", `path "//a": has an empty segment: remove the double or trailing slash`},
		{"GET", "/a?b=c", `path "/a?b=c": has a '?': leave it and what follows out, a pattern matches the path only`},
		{"GET", "/a#b", `path "/a#b": has a '#': leave it and what follows out, a pattern matches the path only`},
		{"GET", "/a/*", `path "/a/*": segment "*" has a wildcard: write a named segment, such as {id}, instead of *`},
		{"GET", "/a/b*", `path "/a/b*": segment "b*" has a wildcard: write a named segment, such as {id}, instead of *`},
		{"GET", "/{*}", `path "/{*}": segment "{*}" has a wildcard: write a named segment, such as {id}, instead of *`},
		{"GET", "/a{b}", `path "/a{b}": segment "a{b}": a name in braces stands for a whole segment, such as /{id}/`},
		{"GET", "/{b}c", `path "/{b}c": segment "{b}c": a name in braces stands for a whole segment, such as /{id}/`},
		{"GET", "/{a/b}", `path "/{a/b}": segment "{a": a name in braces stands for a whole segment, such as /{id}/`},
		{"GET", "/{a}{b}", `path "/{a}{b}": segment "{a}{b}": a name in braces stands for a whole segment, such as /{id}/`},
		{"GET", "/}", `path "/}": segment "}": a name in braces stands for a whole segment, such as /{id}/`},
		{"GET", "/{}", `path "/{}": has {} without a name: write one, such as {id}`},
		{"GET", "/{Sale}", `path "/{Sale}": the name {Sale} is not valid: use a small letter, then small letters, digits and underscores`},
		{"GET", "/{1a}", `path "/{1a}": the name {1a} is not valid: use a small letter, then small letters, digits and underscores`},
		{"GET", "/{_a}", `path "/{_a}": the name {_a} is not valid: use a small letter, then small letters, digits and underscores`},
		{"GET", "/{a-b}", `path "/{a-b}": the name {a-b} is not valid: use a small letter, then small letters, digits and underscores`},
		{"GET", "/{http.request.uri.path}", `path "/{http.request.uri.path}": the name {http.request.uri.path} was put in by Caddy for one of its own placeholders: choose another name`},
		{"GET", "/{a}/b/{a}", `path "/{a}/b/{a}": the name {a} is used twice: give each segment a name of its own`},
		{"GET", "/a/../b", `path "/a/../b": segment "..": write the path out, without dot segments`},
		{"GET", "/./b", `path "/./b": segment ".": write the path out, without dot segments`},
		{"GET", "/a b", `path "/a b": segment "a b": ' ' cannot stand in a pattern, use letters, digits and any of -._~!$&'()+,=:@`},
		{"GET", "/a;b", `path "/a;b": segment "a;b": ';' cannot stand in a pattern, use letters, digits and any of -._~!$&'()+,=:@`},
		{"GET", `/a\b`, `path "/a\\b": segment "a\\b": '\\' cannot stand in a pattern, use letters, digits and any of -._~!$&'()+,=:@`},
		{"GET", "/商品", `path "/商品": segment "商品": percent-encode what is not ASCII, as browsers send it`},
		{"GET", "/a%2Fb", `path "/a%2Fb": segment "a%2Fb": percent-encode only bytes outside ASCII, as %XX; write the others as they are`},
		{"GET", "/a%E", `path "/a%E": segment "a%E": percent-encode only bytes outside ASCII, as %XX; write the others as they are`},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			t.Parallel()
			p, err := pathpattern.Parse(tt.method, tt.path)
			if err == nil {
				t.Fatalf("parsed as %v", p)
			}
			if err.Error() != tt.want {
				t.Errorf("got  %s\nwant %s", err, tt.want)
			}
		})
	}
}

func TestParseRefusesCaddysNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"path", "file", "query", "host", "method", "uri", "dir", "port", "uuid", "scheme", "client_ip"} {
		_, err := pathpattern.Parse("GET", "/a/{"+name+"}")
		want := `path "/a/{` + name + `}": the name {` + name + `} is a placeholder of Caddy's own: choose another one, such as {` + name + `_id}`
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestNamesAreACopy(t *testing.T) {
	t.Parallel()
	p := mustParse(t, "GET", "/{a}/{b}")
	p.Names()[0] = "x"
	if got := p.Names()[0]; got != "a" {
		t.Errorf("Names()[0] = %q after the caller wrote to its slice", got)
	}
}

// FuzzParse checks that a pattern survives being printed and parsed again, and
// that it matches its own path with the names filled in.
func FuzzParse(f *testing.F) {
	f.Add("POST", "/api/sales/{sale}/orders/{token}")
	f.Add("GET", "/%E5%95%86/{id}")
	f.Add("GET", "/{a}{b}//../*?#")
	f.Fuzz(func(t *testing.T, method, path string) {
		p, err := pathpattern.Parse(method, path)
		if err != nil {
			return
		}
		again := mustParse(t, p.Method(), p.Path())
		if again.String() != p.String() || !slices.Equal(again.Names(), p.Names()) {
			t.Errorf("%v was parsed again as %v", p, again)
		}
		request := path
		for _, name := range p.Names() {
			request = strings.Replace(request, "{"+name+"}", "Is%20"+name, 1)
		}
		vals, ok := p.Match(method, request, nil)
		if !ok || len(vals) != len(p.Names()) {
			t.Fatalf("%v does not match its own path %q", p, request)
		}
		for _, name := range p.Names() {
			if got, want := p.Value(vals, name), "Is%20"+name; got != want {
				t.Errorf("Value(%q) = %q, want %q", name, got, want)
			}
		}
		if !p.Under(request) || !p.Under(pathpattern.Parent(request)) {
			t.Errorf("%v: what matches, or its parent, is not under: %q", p, request)
		}
	})
}
