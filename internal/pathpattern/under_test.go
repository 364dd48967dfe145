package pathpattern_test

import (
	"net/url"
	"path"
	"strings"
	"testing"

	"flashgate/internal/pathpattern"
)

// under are spellings that some origin takes for the orders of a sale or for
// something below them.
var under = []string{
	"/api/sales/1/orders",
	"/api/sales/1/orders/",
	"/api/sales/1/orders/tok",
	"/api/sales/1/orders/tok/x/y",
	"/API/Sales/1/ORDERS/tok",
	"/api/sales/1/orders//tok",
	"//api/sales/1/orders",
	"/api//sales/1/orders",
	"/api/sales/1//orders",
	"/api/sales//orders/tok", // an empty sale, for an origin that does not join slashes
	"/api/sales/1%2Forders/tok",
	"/api/sales/1%2forders%2ftok",
	"%2Fapi%2Fsales%2F1%2Forders",
	"/api/sales/a%2Fb/orders/tok", // the origin may keep the escaped slash in the sale
	"/api/sales/1/%6frders/tok",
	"/api/sales/1/%6Frder%73",
	"/api/sales/1/%256frders",
	"/api/sales/1/%25256frders",
	"/api/sales/1%252Forders",
	`/api\sales\1\orders`,
	"/api/sales/1%5Corders",
	"/api/sales/1%255Corders",
	"/api/./sales/1/orders",
	"/./api/sales/1/orders/.",
	"/x/../api/sales/1/orders",
	"/api/sales/1/x/../orders",
	"/api/sales/1/paths/%2e%2e/orders",
	"/api/sales/1/paths/%252E%252e/orders",
	"/../../api/sales/1/orders",
	"/api/sales/1/paths//../orders",  // slashes joined first
	"/api/sales/1/orders/tok/../..x", // nothing is left but `..x`, below
	"/api/sales/1/orders/..",         // an origin that does not resolve
	"/api/sales/1/orders/x%2F../y",
	"/api;a=b/sales/1/orders",
	"/api/sales/1/orders;jsessionid=x",
	"/api/sales/1/orders;/tok",
	"/api/sales/1/orders%3Bx",
	"/api/sales/1/paths/..;/orders",
	"/api/sales/1/paths/..;x=y/orders/tok",
	"/api/sales/1/orders%00.html",
	"/api/sales/1/orders%3Fx",
	"/api/sales/1/orders%23x",
	"/api/sales/1/orders./tok",
	"/api/sales/1/orders%20",
	"/api/%2Fsales/%2e/1;x/%4frders%5c%5ctok",
	"/api/sales/1/orders%09",
	"/api/sales/1/orders%0A%7F/tok",
	"/api/sales/1/orders%C0%AFtok", // overlong slashes
	"/api/sales/1/orders%E0%80%AFtok",
	"/api/sales/1%F0%80%80%AForders",
	"/api/sales/1/%C1%AFrders", // an overlong o
	"/api/sales/1/x%C0%AF%C0%AE%C0%AE/orders",
	"/api/sales/1%EF%BC%8Forders", // a full-width slash, and letters
	"/api/sales/1/%EF%BD%8F%EF%BC%B2ders",
	"/api/sales/1%25EF%25BC%258Forders",
	"/api/sales/1/%C5%BForders/../order%C5%BF", // the long s is an S in capitals
	"api/sales/1/orders",
}

// notUnder are paths that no origin takes for it: a guard must let them pass.
var notUnder = []string{
	"",
	"/",
	"*",
	"/api",
	"/api/sales",
	"/api/sales/",
	"/api/sales/1",
	"/api/sales/1/",
	"/api/sales/1/captcha",
	"/api/sales/1/%EF%BC%8E%EF%BD%9E", // full-width, and nothing of ours
	"/api/sales/1/ord%C0ers",
	"/api/sales/1/\u5546\u54c1/%E0%A4%95%F0%9F%8E%81",
	"/api/sales/1/%09orders",
	"/api/sales/1/path",
	"/api/sales/1/orders2",
	"/api/sales/1/ordersx/tok",
	"/api/sales/1/xorders",
	"/api/orders/1/sales",
	"/api/sales/orders",
	"/api/orders/abc",
	"/x/api/sales/1/orders",
	"/api/sales/1/2/orders",
	"/goods/a%20b%25.png",
	"/goods/100%",
	"/goods/%zz/%2",
	"/goods/1;v=2/../3//4",
	"/.well-known/security.txt",
	"/api/sales/1/path%3Forders",
	"/api/sales/1/path;/orders/../orders2",
	"/%E5%95%86%E5%93%81/1",
}

func TestUnder(t *testing.T) {
	t.Parallel()
	p := mustParse(t, "POST", "/api/sales/{sale}/orders/{token}")
	for want, paths := range map[bool][]string{true: under, false: notUnder} {
		for _, path := range paths {
			t.Run(path, func(t *testing.T) {
				t.Parallel()
				if got := p.Under(path); got != want {
					t.Errorf("Under(%q) = %v, want %v", path, got, want)
				}
			})
		}
	}
}

func TestUnderOtherPatterns(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern, path string
		want          bool
	}{
		{"/{token}", "/", true}, // the parent is the root: everything is below it
		{"/{token}", "/a/b", true},
		{"/%E5%95%86/{id}", "/%e5%95%86/1", true},
		{"/%E5%95%86/{id}", "/%25E5%2595%2586/1", true},
		{"/%E5%95%86/{id}", "/商", true},
		{"/%E5%95%86/{id}", "/%E5%95%86/a%2Fb", true},
		{"/%E5%95%86/{id}", "/%E5%95%87/1", false},
		{"/v1./{id}", "/V1/1", true},
		{"/a/b", "/a/c", true}, // below the parent of the last segment, a literal too
		{"/a/b", "/ab", false},
		{"/a/{x}/{y}", "/a/", false}, // a trailing slash is no segment
		{"/a/{x}/{y}", "/a//", true},
	}
	for _, tt := range tests {
		if got := mustParse(t, "GET", tt.pattern).Under(tt.path); got != tt.want {
			t.Errorf("%s: Under(%q) = %v, want %v", tt.pattern, tt.path, got, tt.want)
		}
	}
}

// TestUnderFailsClosed feeds paths that would make the search long.
func TestUnderFailsClosed(t *testing.T) {
	t.Parallel()
	p := mustParse(t, "POST", "/api/sales/{sale}/orders/{token}")
	tests := []struct {
		name, path string
		want       bool
	}{
		{"long and odd", "/x%20" + strings.Repeat("y", 5000), true},
		{"long and plain", "/x" + strings.Repeat("y", 5000), false},
		{"long for a path, short for the limit", "/x%20" + strings.Repeat("y", 3000), false},
		{"more readings than anybody needs", "/" + strings.Repeat(`a;/..;/b\..//?c/..\..;`, 20), true},
		{"encoded more often than is decoded", "/api/sales/1/%2525256frders", false},
	}
	for _, tt := range tests {
		if got := p.Under(tt.path); got != tt.want {
			t.Errorf("%s: Under = %v, want %v", tt.name, got, tt.want)
		}
	}
}

// FuzzUnder checks that no path that matches escapes the guard.
func FuzzUnder(f *testing.F) {
	patterns := []*pathpattern.Pattern{
		mustParse(f, "POST", "/api/sales/{sale}/orders/{token}"),
		mustParse(f, "POST", "/%E5%95%86/{id}/x"),
		mustParse(f, "POST", "/{a}/v1./{b}"),
	}
	for _, path := range append(under, notUnder...) {
		f.Add(path)
	}
	f.Add("/%e5%95%86/a%2Fb;../x")
	f.Fuzz(func(t *testing.T, path string) {
		for _, p := range patterns {
			under := p.Under(path)
			if _, ok := p.Match("POST", path, nil); ok && !under {
				t.Errorf("%v matches %q, which is not under", p, path)
			}
			like := p.Like(path)
			if _, ok := p.Match("POST", path, nil); ok && !like {
				t.Errorf("%v matches %q, which is not like it", p, path)
			}
			if like && !under {
				t.Errorf("%q is like %v, and not under it", path, p)
			}
		}
	})
}

func TestLike(t *testing.T) {
	t.Parallel()
	p := mustParse(t, "POST", "/api/sales/{sale}/path")
	for path, want := range map[string]bool{
		"/api/sales/1/path": true, "/api/sales/1/path/": true, "/API/sales/1/Path": true, "//api/sales/1//path": true,
		"/api/sales/1/%70ath": true, "/api/sales/1/%2570ath": true, "/api/sales/1%2Fpath": true, "/api/x/../sales/1/path": true,
		"/api/sales/1/path;x": true, "/api/sales/1/path%00": true, "/api/sales/1/path.": true, `/api\sales\1\path`: true, "/api/sales/1/path/.": true,

		"/api/sales/1": false, "/api/sales/1/": false, "/api/sales/1/paths": false, "/api/sales/1/path/x": false, "/x/api/sales/1/path": false, "/": false,
	} {
		if got := p.Like(path); got != want {
			t.Errorf("Like(%q) = %v", path, got)
		}
	}
}

// FuzzUnderOrigin lets an origin made of the standard library's functions
// normalise the path, step by step in the order that the fuzzer picks. Where it
// ends up at the parent or below, Under must have said so.
func FuzzUnderOrigin(f *testing.F) {
	p := mustParse(f, "POST", "/api/sales/{sale}/orders/{token}")
	for _, path := range append(under, notUnder...) {
		f.Add(path, "dbcpd")
		f.Add(path, "bdcdpcdc")
	}
	f.Fuzz(func(t *testing.T, requested, order string) {
		seen := requested
		decodes := 0
		for _, step := range order {
			switch step {
			case 'd':
				if s, err := url.PathUnescape(seen); err == nil && decodes < 3 {
					seen = s
					decodes++
				}
			case 'b':
				seen = strings.Join(strings.Split(seen, `\`), "/")
			case 'c':
				seen = path.Clean("/" + seen)
			case 'p':
				for {
					from, rest, found := strings.Cut(seen, ";")
					if !found {
						break
					}
					if i := strings.IndexByte(rest, '/'); i >= 0 {
						from += rest[i:]
					}
					seen = from
				}
			}
		}
		parts := strings.Split(strings.ToLower(strings.TrimPrefix(seen, "/")), "/")
		if len(parts) >= 4 && parts[0] == "api" && parts[1] == "sales" && parts[3] == "orders" && !p.Under(requested) {
			t.Errorf("Under(%q) = false, but after %q an origin sees %q", requested, order, seen)
		}
	})
}

func BenchmarkUnder(b *testing.B) {
	p := mustParse(b, "POST", "/api/sales/{sale}/orders/{token}")
	for name, path := range map[string]string{
		"plain":   "/goods/12/picture.png",
		"encoded": "/goods/a%20b.png",
		"hostile": "/" + strings.Repeat(`a%25252f..;/\%252e/`, 200),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Under(path)
			}
		})
	}
}
