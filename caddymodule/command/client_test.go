package command_test

import (
	"strings"
	"testing"
	"time"

	"flashgate/caddymodule/gatewaytest"
)

const limitedByAll = `
SITE {
	access_limit /net 2 1h {
		name net
		prefix 24 56
	}
	access_limit /each 2 1h {
		name each
	}
	access_limit /all 2 1h by all {
		name everybody
	}
	access_limit /both 2 1h by query u address {
		name both
	}
	access_limit /query 2 1h by query u {
		name query
		ban 1h after 1 in 1h
	}
	respond ok
}
`

// A client is whom the operator means, however he writes the address; one that the limit
// never counts is an error that says what would be right, not a ban that does nothing.
func TestClientsOfLimits(t *testing.T) {
	g := gatewaytest.Run(t, limitedByAll)
	c := g.Client(t)
	for path, args := range map[string][]string{
		"/net":      {"net", "address 127.0.0.9"},
		"/net?":     {"net", "address 127.0.0.0/24"},
		"/each":     {"each", "address ::ffff:127.0.0.1"},
		"/each?":    {"each", "address 127.0.0.1/32"},
		"/all":      {"everybody", "all"},
		"/both?u=a": {"both", "key a", "address 127.0.0.1"},
		"/both":     {"both", "address 127.0.0.1", "address 127.0.0.1"},
		"/query?u=": {"query", "address 127.0.0.1"},
	} {
		ban := append([]string{"ban"}, args...)
		if out, err := runLimit(t, g, append(ban, "--for", "2d")...); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
			continue
		}
		if got := c.Do("GET", path).Status; got != 429 {
			t.Errorf("%v is banned, %s: %d", args, path, got)
		}
		if out, err := runLimit(t, g, append([]string{"inspect"}, args...)...); err != nil || !strings.Contains(out, "banned until") {
			t.Errorf("%v is banned, inspect: %v\n%s", args, err, out)
		}
		if out, err := runLimit(t, g, append([]string{"pardon"}, args...)...); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
		if got := c.Do("GET", path).Status; got != 200 {
			t.Errorf("%v is pardoned, %s: %d", args, path, got)
		}
	}
	for want, args := range map[string][]string{
		`counts addresses`:                      {"each", "key u1"},
		`its only client is "all"`:              {"everybody", "address 127.0.0.1"},
		`is no address`:                         {"each", "address localhost"},
		`not /8: name one of them`:              {"net", "address 10.0.0.0/8"},
		`write "key <user or other key>"`:       {"query", "u1"},
		`"key u1" "address 192.0.2.1"`:          {"both", "key u1"},
		`with 2 parts`:                          {"both", "key u1", "address 127.0.0.1", "all"},
		`"for" must say how long`:               {"each", "address 127.0.0.1", "--for", "soon"},
		`at most 366 days ahead`:                {"each", "address 127.0.0.1", "--for", "367d"},
		`GET /flashgate/limits lists them`:      {"nobody", "all"},
		`requires at least 2 arg(s), only rece`: {"each"},
	} {
		out, err := runLimit(t, g, append([]string{"ban"}, args...)...)
		if err == nil || !strings.Contains(unescaped.Replace(err.Error()), want) {
			t.Errorf("ban %v: %v, want %q\n%s", args, err, want, out)
		}
	}
}

// OWASP OAT-021, denial of inventory, with a surprise: what a visitor sends as a key is
// banned under that name, and must not write to the operator's terminal.
func TestListIsSafeToRead(t *testing.T) {
	g := gatewaytest.Run(t, limitedByAll)
	c := g.Client(t)
	for range 3 {
		c.Do("GET", "/query?u=%1b%5d0%3bowned%07%0ax")
	}
	var out string
	eventually(t, func() bool {
		var err error
		if out, err = runLimit(t, g, "list"); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(out, "banned until")
	})
	if strings.ContainsAny(out, "\x1b\x07") || !strings.Contains(out, `"query" "key \x1b]0;owned\a\nx"  banned until`) {
		t.Errorf("%q", out)
	}
	// A key of any length is banned, under its digest, and pardoned by that.
	long := "/query?u=" + strings.Repeat("x", 4000)
	for range 3 {
		c.Do("GET", long)
	}
	eventually(t, func() bool {
		out, _ = runLimit(t, g, "list")
		return strings.Contains(out, `"query" "#`)
	})
	_, digest, _ := strings.Cut(out, `"query" "#`)
	digest, _, _ = strings.Cut(digest, `"`)
	if out, err := runLimit(t, g, "pardon", "query", "#"+digest); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _ := runLimit(t, g, "list"); strings.Contains(out, digest) {
		t.Errorf("it is still banned:\n%s", out)
	}
}

func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(10 * time.Second); !holds(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("not in 10 s")
		}
	}
}

// The command shows the JSON of the admin API.
var unescaped = strings.NewReplacer(`\"`, `"`, `\u003c`, `<`, `\u003e`, `>`)
