package accesslimit_test

import "testing"

// Of several directives that a request passes, the placeholders speak of the last one.
func TestPlaceholdersOfTheLastDecision(t *testing.T) {
	g := run(t, `
	access_limit /after 3 1h {
		name first
		dry_run
	}
	access_limit /after 5 1h {
		name second
	}`)
	c := g.Client(t)
	for i, want := range []string{"4 ", "3 ", "2 ", "1 ", "0 "} {
		if got := c.Do("GET", "/after").Body; got != want {
			t.Errorf("request %d: %q, want %q", i+1, got, want)
		}
	}
}
