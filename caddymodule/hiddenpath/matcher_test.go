package hiddenpath_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flashgate"
	"flashgate/caddymodule/gatewaytest"
	"flashgate/internal/signedurl"
)

const matched = `
SITE {
	handle /files/* {
		@signed signed_path
		handle @signed {
			respond "origin {uri} {http.matchers.signed_path.status}"
		}
		@expired vars {http.matchers.signed_path.status} expired
		handle @expired {
			respond "{http.matchers.signed_path.status} {http.matchers.signed_path.expires}" 410
		}
		handle {
			respond "{http.matchers.signed_path.status}" 403
		}
	}
	handle_path /dl/* {
		@signed signed_path /dl/a/*
		respond @signed "stripped {path} {http.matchers.signed_path.status}"
		respond "other {http.matchers.signed_path.status}" 403
	}
	handle /not/* {
		@not not signed_path {
			parameter sig
			require query
		}
		respond @not "no" 403
		respond "yes"
	}
	handle /cel/* {
		@signed ` + "`signed_path('/cel/a/*', '/cel/b') && method('GET')`" + `
		respond @signed "yes"
		respond "no" 403
	}
	handle /all/* {
		@signed ` + "`signed_path('/*')`" + `
		respond @signed "yes"
		respond "no" 403
	}
}
`

func TestSignedPathMatcher(t *testing.T) {
	g := gatewaytest.Run(t, matched)
	s, c := newSigner(t, g), g.Client(t)
	good := s.sign("/files/a", signedurl.Terms{})
	anyQuery := signedurl.Terms{AnyQuery: true}
	sig := signedurl.Terms{Parameter: "sig"}
	for _, x := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", good, 200, "origin " + good + " valid"},
		{"HEAD", good, 200, ""},
		{"GET", "/files/a", 403, "missing"},
		{"GET", good + "&x", 403, "invalid"},
		{"DELETE", good, 403, "invalid"},
		{"GET", strings.Replace(good, "/a", "//a", 1), 403, "invalid"},
		{"GET", strings.Replace(good, "/a", "/x%2F..%2Fa", 1), 403, "invalid"},

		{"GET", s.sign("/dl/a/b", signedurl.Terms{}), 200, "stripped /a/b valid"},
		{"GET", s.sign("/dl/b", signedurl.Terms{}), 403, "other "}, // not judged
		{"GET", "/dl/a/b", 403, "other missing"},
		{"GET", strings.Replace(s.sign("/a/b", signedurl.Terms{}), "/a/b", "/dl/a/b", 1), 403, "other invalid"},
		{"GET", strings.Replace(s.sign("/dl/a/b", anyQuery), "/dl/a/b", "/dl/a/./b", 1), 403, "other invalid"},

		{"GET", s.sign("/not/a", sig), 200, "yes"},
		{"GET", s.sign("/not/a", signedurl.Terms{}), 403, "no"},
		{"GET", s.sign("/not/a", signedurl.Terms{Parameter: "sig", AnyQuery: true}), 403, "no"},
		{"GET", "/not/a", 403, "no"},

		{"GET", s.sign("/cel/a/b", signedurl.Terms{}), 200, "yes"},
		{"GET", s.sign("/cel/b", signedurl.Terms{}), 200, "yes"},
		{"GET", s.sign("/cel/c", signedurl.Terms{}), 403, "no"},
		{"GET", "/cel/b", 403, "no"},
		{"PUT", s.sign("/cel/b", signedurl.Terms{Method: "PUT"}), 403, "no"},
		{"GET", s.sign("/all/a", signedurl.Terms{}), 200, "yes"},
		{"GET", "/all/a", 403, "no"},
	} {
		if a := c.Do(x.method, x.path); a.Status != x.status || a.Body != x.body {
			t.Errorf("%s %s: %d %q, want %d %q", x.method, x.path, a.Status, a.Body, x.status, x.body)
		}
	}
	if a := c.Do("GET", s.expired("/files/a", signedurl.Terms{})); a.Status != 410 || !strings.HasPrefix(a.Body, "expired 1") {
		t.Errorf("%+v", a)
	}
}

// Behind the guard the matcher still knows that the address was signed.
func TestSignedPathBehindTheGuard(t *testing.T) {
	g := gatewaytest.Run(t, `
SITE {
	route {
		hidden_path {
			signed /files/*
		}
		@signed signed_path
		respond @signed "{uri} {http.matchers.signed_path.status}"
	}
}`)
	s, c := newSigner(t, g), g.Client(t)
	if a := c.Do("GET", s.sign("/files/a?b=c", signedurl.Terms{})); a.Body != "/files/a?b=c valid" {
		t.Errorf("%+v", a)
	}
}

// Without keys nobody knows: neither a matcher nor its negation lets anybody pass.
func TestSignedWithoutKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g := gatewaytest.Run(t, strings.ReplaceAll(`
{
	admin ADMIN
	persist_config off
	grace_period 2s
	log {
		output discard
	}
	flashgate {
		data_dir FILE
	}
}
SITE {
	@signed signed_path /is/*
	respond @signed "passed"
	@not {
		path /not/*
		not signed_path
	}
	respond @not "passed"
	hidden_path {
		signed /guarded/*
	}
	respond /guarded/* "passed"
}`, "FILE", file))
	c := g.Client(t)
	for _, path := range []string{"/is/a", "/not/a", "/guarded/a"} {
		if a := c.Do("GET", path); a.Status < 500 || strings.Contains(a.Body, "passed") {
			t.Errorf("%s: %+v", path, a)
		}
	}
	if a := c.Do("GET", "/guarded/a"); a.Code() != flashgate.CodeUnavailable {
		t.Errorf("%+v", a)
	}
}
