package session_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flashgate"
	"flashgate/caddymodule/gatewaytest"
)

const site = `
SITE {
	session_auth optional {
		require POST /api/sales/{sale}/path
		require GET /private
	}
	respond "user={http.auth.user.id} session={http.auth.user.session} role={http.auth.user.role}"
}
`

const anonymous = "user= session= role="

func TestOptional(t *testing.T) {
	g := gatewaytest.Run(t, site)
	known, visitor := g.Login(t, "u1"), g.Client(t)
	stranger := g.Client(t)
	stranger.Header.Set("Cookie", "session="+string(flashgate.NewSessionToken()))
	logged := "user=u1 session=" + string(known.Session.Key()) + " role=customer"

	for name, c := range map[string]struct {
		client       *gatewaytest.Client
		method, path string
		status       int
		body         string
	}{
		"logged in":                     {known, "GET", "/", 200, logged},
		"logged in, required":           {known, "POST", "/api/sales/1/path", 200, logged},
		"anonymous":                     {visitor, "GET", "/", 200, anonymous},
		"anonymous, required":           {visitor, "POST", "/api/sales/1/path", 401, ""},
		"anonymous, required, caps":     {visitor, "POST", "/API/sales/1/path", 401, ""},
		"anonymous, HEAD of required":   {visitor, "HEAD", "/private", 401, ""},
		"anonymous, another method":     {visitor, "GET", "/api/sales/1/path", 200, anonymous},
		"made-up session":               {stranger, "GET", "/", 200, anonymous},
		"made-up session, where needed": {stranger, "GET", "/private", 401, ""},
	} {
		a := c.client.Do(c.method, c.path)
		if a.Status != c.status || c.body != "" && a.Body != c.body {
			t.Errorf("%s: %d %s, want %d %s", name, a.Status, a.Body, c.status, c.body)
		}
		if c.status == 401 && c.method != "HEAD" && (a.Code() != flashgate.CodeUnauthenticated || a.Header.Get("Content-Type") != "application/problem+json" || a.Header.Get("Cache-Control") != "no-store") {
			t.Errorf("%s: %+v is not the problem document", name, a)
		}
	}
}

func TestLogoutIsFeltAtOnce(t *testing.T) {
	g := gatewaytest.Run(t, site)
	c := g.Login(t, "u1")
	if a := c.Do("GET", "/private"); a.Status != 200 {
		t.Fatalf("logged in: %+v", a)
	}
	if err := g.Store(t).DeleteSession(t.Context(), c.Session.Key()); err != nil {
		t.Fatal(err)
	}
	if a := c.Do("GET", "/private"); a.Code() != flashgate.CodeUnauthenticated {
		t.Errorf("after the logout: %+v", a)
	}
}

func TestWithoutOptionalEveryRequestNeedsALogin(t *testing.T) {
	g := gatewaytest.Run(t, "SITE {\nsession_auth\nrespond ok\n}")
	if a := g.Client(t).Do("GET", "/anything"); a.Code() != flashgate.CodeUnauthenticated {
		t.Errorf("anonymous: %+v", a)
	}
	if a := g.Login(t, "u1").Do("GET", "/anything"); a.Status != 200 {
		t.Errorf("logged in: %+v", a)
	}
}

// The hash of the password "staging".
const basicAuth = `
SITE {
	basic_auth /staging* {
		editor $2a$04$//nPNqRdT5nsJmN04CnXn.mVPQ4mOLuwHPCR3eORgJf4b47.lvmAa
	}
	session_auth
	respond "user={http.auth.user.id} session={http.auth.user.session} role={http.auth.user.role}"
}
`

func TestAnotherProvidersUserIsKept(t *testing.T) {
	g := gatewaytest.Run(t, basicAuth)
	c := g.Login(t, "u1")
	c.Header.Set("Authorization", "Basic ZWRpdG9yOnN0YWdpbmc=")
	if a := c.Do("GET", "/staging"); a.Status != 200 || a.Body != "user=editor session= role=" {
		t.Errorf("with both: %+v", a)
	}
	c.Header.Del("Cookie")
	if a := c.Do("GET", "/staging"); a.Status != 200 || a.Body != "user=editor session= role=" {
		t.Errorf("with the other provider only: %+v", a)
	}
	if a := c.Do("GET", "/"); a.Code() != flashgate.CodeUnauthenticated {
		t.Errorf("where the other provider was not asked: %+v", a)
	}
}

func TestCookieName(t *testing.T) {
	const global = "{\nadmin off\npersist_config off\nlog {\noutput discard\n}\nservers {\ntrusted_proxies static 127.0.0.1\n}\nflashgate {\ndata_dir DATA\n}\n}\n"
	for i, c := range []struct {
		directive, cookie, proto, want string
	}{
		{"session_auth optional", "session", "", "u1"},
		{"session_auth optional", "__Host-session", "", ""},
		{"session_auth optional", "session", "https", ""},
		{"session_auth optional", "__Host-session", "https", "u1"},
		{"session_auth optional {\ncookie shop\n}", "shop", "https", "u1"},
		{"session_auth optional {\ncookie shop\n}", "session", "", ""},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			g := gatewaytest.Run(t, global+"SITE {\n"+c.directive+"\nrespond \"{http.auth.user.id}\"\n}")
			client := g.Login(t, "u1")
			client.Header.Set("Cookie", c.cookie+"="+string(client.Session))
			if c.proto != "" {
				client.Header.Set("X-Forwarded-Proto", c.proto)
			}
			if a := client.Do("GET", "/"); a.Status != 200 || a.Body != c.want {
				t.Errorf("%s, cookie %s %s: %+v, want user %q", c.directive, c.cookie, c.proto, a, c.want)
			}
		})
	}
}

func TestStoreAway(t *testing.T) {
	g := gatewaytest.Run(t, site)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g.Dir = file // a folder cannot be made here
	if err := g.Load(site); err != nil {
		t.Fatal(err)
	}
	c := g.Client(t)
	c.Header.Set("Cookie", "session="+string(flashgate.NewSessionToken()))
	if a := c.Do("GET", "/"); a.Status != 200 || a.Body != anonymous {
		t.Errorf("where nobody must be logged in: %+v", a)
	}
	if a := c.Do("GET", "/private"); a.Status != 503 || a.Code() != flashgate.CodeUnavailable || a.Header.Get("Retry-After") != "1" || strings.Contains(a.Body, file) {
		t.Errorf("where a login is needed: %+v", a)
	}
	if a := g.Client(t).Do("GET", "/private"); a.Code() != flashgate.CodeUnauthenticated {
		t.Errorf("without a cookie the store is not asked: %+v", a)
	}
}

func TestErrorsCaddy(t *testing.T) {
	g := gatewaytest.Run(t, `
SITE {
	session_auth {
		errors caddy
	}
	respond ok
	handle_errors {
		respond "our own page for {err.status_code}"
	}
}
`)
	if a := g.Client(t).Do("GET", "/"); a.Status != 401 || a.Body != "our own page for 401" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%+v", a)
	}
}
