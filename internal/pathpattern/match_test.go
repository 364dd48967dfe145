package pathpattern_test

import (
	"fmt"
	"slices"
	"testing"

	"flashgate/internal/pathpattern"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	const (
		order   = "/api/sales/{sale}/orders/{token}"
		chinese = "/%E5%95%86/{id}"
	)
	tests := []struct {
		name, pattern, method, path string
		want                        []string // nil: no match
	}{
		{"exact", order, "POST", "/api/sales/1/orders/tok", []string{"1", "tok"}},
		{"other case of a literal", order, "POST", "/API/Sales/1/oRDers/tok", []string{"1", "tok"}},
		{"values keep their case", order, "POST", "/api/sales/AbC/orders/ToK", []string{"AbC", "ToK"}},
		{"values stay escaped", order, "POST", "/api/sales/a%20b/orders/%74;x", []string{"a%20b", "%74;x"}},
		{"a slash in disguise", order, "POST", "/api/sales/a%2Fb/orders/tok", nil},
		{"a slash in disguise, lower case", order, "POST", "/api/sales/1/orders/%74%2f", nil},
		{"no slash in disguise", order, "POST", "/api/sales/%252F/orders/%2", []string{"%252F", "%2"}},
		{"a dot segment is a value", order, "POST", "/api/sales/1/orders/..", []string{"1", ".."}},
		{"non-ASCII literal", chinese, "POST", "/%E5%95%86/7", []string{"7"}},
		{"small hexadecimal digits", chinese, "POST", "/%e5%95%86/7", []string{"7"}},
		{"no names", "/orders", "POST", "/orders", []string{}},

		{"other method", order, "GET", "/api/sales/1/orders/tok", nil},
		{"method in small letters", order, "post", "/api/sales/1/orders/tok", nil},
		{"trailing slash", order, "POST", "/api/sales/1/orders/tok/", nil},
		{"double slash", order, "POST", "/api//sales/1/orders/tok", nil},
		{"leading double slash", order, "POST", "//api/sales/1/orders/tok", nil},
		{"empty name in the middle", order, "POST", "/api/sales//orders/tok", nil},
		{"empty name at the end", order, "POST", "/api/sales/1/orders/", nil},
		{"too short", order, "POST", "/api/sales/1/orders", nil},
		{"too long", order, "POST", "/api/sales/1/orders/tok/x", nil},
		{"escaped slash is not a slash", order, "POST", "/api/sales/1%2Forders/tok", nil},
		{"escaped literal", order, "POST", "/api/sales/1/%6Frders/tok", nil},
		{"prefix of a literal", order, "POST", "/api/sale/1/orders/tok", nil},
		{"Kelvin sign is no k", "/k", "POST", "/\u212a", nil},
		{"no leading slash", order, "POST", "api/sales/1/orders/tok", nil},
		{"asterisk form", order, "POST", "*", nil},
		{"empty", order, "POST", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			vals, ok := mustParse(t, "POST", tt.pattern).Match(tt.method, tt.path, nil)
			if ok != (tt.want != nil) || !slices.Equal(vals, tt.want) {
				t.Errorf("Match(%s %s) = %q, %v; want %q", tt.method, tt.path, vals, ok, tt.want)
			}
		})
	}
}

func TestHeadIsNotGet(t *testing.T) {
	t.Parallel()
	if _, ok := mustParse(t, "GET", "/a").Match("HEAD", "/a", nil); ok {
		t.Error("GET /a matches HEAD")
	}
}

func TestMatchReusesTheSlice(t *testing.T) {
	t.Parallel()
	p := mustParse(t, "POST", "/a/{x}/{y}")
	values := []string{"old", "older", "oldest"}
	vals, ok := p.Match("POST", "/a/1/2", values)
	if !ok || !slices.Equal(vals, []string{"1", "2"}) || &vals[0] != &values[0] {
		t.Errorf("Match = %q, %v, own array: %v", vals, ok, &vals[0] != &values[0])
	}
}

func TestValue(t *testing.T) {
	t.Parallel()
	p := mustParse(t, "POST", "/a/{x}/{y}")
	tests := []struct {
		vals       []string
		name, want string
	}{
		{[]string{"1", "2"}, "x", "1"},
		{[]string{"1", "2"}, "y", "2"},
		{[]string{"1", "2"}, "z", ""},
		{[]string{"1", "2"}, "", ""},
		{[]string{"1"}, "y", ""},
		{nil, "x", ""},
	}
	for _, tt := range tests {
		if got := p.Value(tt.vals, tt.name); got != tt.want {
			t.Errorf("Value(%q, %q) = %q, want %q", tt.vals, tt.name, got, tt.want)
		}
	}
}

func TestParent(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/api/sales/1/orders/tok": "/api/sales/1/orders",
		"/a%2Fb/c":                "/a%2Fb",
		"/a":                      "/",
		"/":                       "/",
		"":                        "/",
	} {
		if got := pathpattern.Parent(path); got != want {
			t.Errorf("Parent(%q) = %q, want %q", path, got, want)
		}
	}
}

// TestHotPathDoesNotAllocate is not parallel: it counts the process's
// allocations.
func TestHotPathDoesNotAllocate(t *testing.T) {
	p := mustParse(t, "POST", "/api/sales/{sale}/orders/{token}")
	values := make([]string, 0, 4)
	for name, f := range map[string]func(){
		"Match":            func() { values, _ = p.Match("POST", "/api/sales/1/orders/tok", values) },
		"Match without":    func() { _, _ = p.Match("POST", "/api/sales/1/paths/tok", values) },
		"Value":            func() { _ = p.Value(values, "token") },
		"Under":            func() { _ = p.Under("/api/sales/1/orders/tok") },
		"Under elsewhere":  func() { _ = p.Under("/goods/12/picture.png") },
		"Parent":           func() { _ = pathpattern.Parent("/api/sales/1/orders/tok") },
		"Method and Path":  func() { _, _ = p.Method(), p.Path() },
		"other method":     func() { _, _ = p.Match("GET", "/api/sales/1/orders/tok", values) },
		"Under of the top": func() { _ = p.Under("/") },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	p := mustParse(b, "POST", "/api/sales/{sale}/orders/{token}")
	values := make([]string, 0, 4)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := p.Match("POST", "/api/sales/1/orders/AbCdEfGhIjKlMnOpQrStUv", values); !ok {
			b.Fatal("no match")
		}
	}
}

func ExamplePattern_Match() {
	p, err := pathpattern.Parse("POST", "/api/sales/{sale}/orders/{token}")
	if err != nil {
		fmt.Println(err)
		return
	}
	values := make([]string, 0, 4) // reused from request to request
	vals, ok := p.Match("POST", "/API/sales/7/orders/tok", values)
	fmt.Println(ok, p.Value(vals, "sale"), p.Value(vals, "token"))
	fmt.Println(pathpattern.Parent("/API/sales/7/orders/tok"))
	// Output:
	// true 7 tok
	// /API/sales/7/orders
}
