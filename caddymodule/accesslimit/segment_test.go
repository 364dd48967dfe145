package accesslimit_test

import (
	"fmt"
	"net/http"
	"testing"
)

// A segment of the path is who is counted, each on its own, and so is what a matcher has
// captured.
func TestSegments(t *testing.T) {
	g := run(t, `
	access_limit /api/sales/*/path 2 1h by {path.2}
	@captured path_regexp sale ^/buy/([^/]+)$
	access_limit @captured 2 1h by {re.sale.1}
	access_limit /text/* 2 1h by "sale {path.1}"`)
	c := g.Client(t)
	for _, format := range []string{"/api/sales/%s/path", "/buy/%s", "/text/%s"} {
		for _, sale := range []string{"7", "8"} {
			if n := passes(t, c, 6, fmt.Sprintf(format, sale)); n != 2 {
				t.Errorf(format+": %d of 6 pass, want 2", sale, n)
			}
		}
	}
}

// OWASP OAT-011, scraping: the same segment behind another beginning of the path each time,
// which the matcher does not see. It is the same key.
func TestSegmentsBehindDots(t *testing.T) {
	g := run(t, `
	access_limit /api/sales/*/path 2 1h by {path.2}
	access_limit /whole/* 2 1h by {path}
	access_limit /text/* 2 1h by "sale {path.1}"
	access_limit /twice 2 1h by "{header.X-Key} {header.X-App}"`)
	c := g.Client(t)
	for _, path := range []string{"/api/sales/7/path", "/whole/7", "/text/7"} {
		passed := 0
		for i := range 6 {
			for _, format := range []string{"/a/b/%d/../../..%s", "/%d/..%s", "/%d/%%2e%%2e%s", "/%d/..//.%s"} {
				passed += passes(t, c, 1, fmt.Sprintf(format, i, path))
			}
		}
		if passed != 2 {
			t.Errorf("%s: %d of 24 pass, want 2", path, passed)
		}
	}
	passed := 0
	for i := range 6 {
		if send(t, g, "/twice", http.Header{"X-Key": {"me", fmt.Sprint(i)}, "X-App": {"shop"}}) == 200 {
			passed++
		}
	}
	if passed != 2 {
		t.Errorf("a second value, in a text: %d of 6 pass, want 2", passed)
	}
}
