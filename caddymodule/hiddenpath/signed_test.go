package hiddenpath_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/caddymodule/gatewaytest"
	"flashgate/internal/signedurl"
)

const files = `
SITE {
	hidden_path {
		signed /files/*
		signed /users/*/letters
	}
	respond "origin {method} {uri} until {http.hidden_path.expires}"
}
`

// signer signs paths of a gateway. They come back without the host, as Do wants them.
type signer struct {
	t    testing.TB
	g    *gatewaytest.Gateway
	keys *flashgate.Keyring
}

func newSigner(t testing.TB, g *gatewaytest.Gateway) signer {
	return signer{t: t, g: g, keys: g.Keys(t)}
}

func (s signer) sign(path string, terms signedurl.Terms) string {
	s.t.Helper()
	return s.at(path, terms, time.Now())
}

func (s signer) at(path string, terms signedurl.Terms, now time.Time) string {
	s.t.Helper()
	if terms.TTL == 0 {
		terms.TTL = time.Hour
	}
	signed, err := signedurl.Sign(s.keys, s.g.URL+path, terms, now)
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimPrefix(signed, s.g.URL)
}

// expired is an address that was valid until a second ago.
func (s signer) expired(path string, terms signedurl.Terms) string {
	s.t.Helper()
	return s.at(path, terms, time.Now().Add(-time.Hour-time.Second))
}

func refused(t *testing.T, name string, a gatewaytest.Answer) {
	t.Helper()
	if a.Status != 404 || a.Code() != flashgate.CodePathInvalid {
		t.Errorf("%s: %d %s, want path_invalid", name, a.Status, a.Body)
	}
}

func TestSignedAddresses(t *testing.T) {
	g := gatewaytest.Run(t, files)
	s, c := newSigner(t, g), g.Client(t)
	for _, path := range []string{"/files", "/files/", "/files/a", "/files/a/b%20c", "/users/7/letters/1", "/files/a?b=c&d=%zz"} {
		before := app.Decisions()["hidden_path"]["passed"]
		a := c.Do("GET", s.sign(path, signedurl.Terms{TTL: time.Hour}))
		text, expires, ok := strings.Cut(a.Body, " until ")
		until, err := strconv.ParseInt(expires, 10, 64)
		if left := time.Until(time.Unix(until, 0)); !ok || err != nil || text != "origin GET "+path || left < 59*time.Minute || left > time.Hour {
			t.Errorf("%s: %+v", path, a)
		}
		if a.Header.Get("Cache-Control") != "private" || a.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: headers %v", path, a.Header)
		}
		if n := app.Decisions()["hidden_path"]["passed"]; n != before+1 {
			t.Errorf("%s: counted %d times", path, n-before)
		}
	}
	if a := c.Do("HEAD", s.sign("/files/a", signedurl.Terms{})); a.Status != 200 {
		t.Errorf("HEAD: %+v", a)
	}
	if a := c.Do("PUT", s.sign("/files/a", signedurl.Terms{Method: "PUT"})); a.Status != 200 {
		t.Errorf("PUT: %+v", a)
	}
	if a := c.Do("GET", s.sign("/files/a", signedurl.Terms{AnyQuery: true})+"&utm_source=x"); !strings.HasPrefix(a.Body, "origin GET /files/a?utm_source=x ") {
		t.Errorf("with something behind it: %+v", a)
	}
	for _, path := range []string{"/", "/filesx", "/file", "/x/files", "/users/7", "/users/7/letter", "/?signature=x"} {
		if a := c.Do("GET", path); a.Status != 200 || !strings.HasPrefix(a.Body, "origin GET "+path+" ") || a.Header.Get("Cache-Control") != "" {
			t.Errorf("%s has nothing to do with the guard: %+v", path, a)
		}
	}
}

func TestSignedParameterAndRequire(t *testing.T) {
	g := gatewaytest.Run(t, `
SITE {
	hidden_path {
		signed /*
		parameter sig
		require address host query
	}
	respond "origin {uri}"
}`)
	s, c := newSigner(t, g), g.Client(t)
	here := netip.MustParsePrefix("127.0.0.1/32")
	if a := c.Do("GET", s.sign("/a", signedurl.Terms{Parameter: "sig", Address: here})); a.Body != "origin /a" {
		t.Errorf("%+v", a)
	}
	refused(t, "another parameter", c.Do("GET", s.sign("/a", signedurl.Terms{Address: here})))
	refused(t, "no address", c.Do("GET", s.sign("/a", signedurl.Terms{Parameter: "sig"})))
	refused(t, "any host", c.Do("GET", s.sign("/a", signedurl.Terms{Parameter: "sig", Address: here, AnyHost: true})))
	refused(t, "any query", c.Do("GET", s.sign("/a", signedurl.Terms{Parameter: "sig", Address: here, AnyQuery: true})))
	refused(t, "nothing", c.Do("GET", "/"))
}

// A rewrite in front neither opens what is guarded nor spoils what was signed.
func TestSignedAndRewrites(t *testing.T) {
	g := gatewaytest.Run(t, `
SITE {
	handle_path /dl/* {
		hidden_path {
			signed /files/*
		}
		respond "stripped {uri}"
	}
	handle /files/* {
		uri strip_prefix /files
		hidden_path {
			signed /files/*
		}
		respond "stripped {uri}"
	}
	handle /old/* {
		rewrite * /files/moved?{query}&x=y
		hidden_path {
			signed /files/*
		}
		respond "moved {uri}"
	}
}`)
	s, c := newSigner(t, g), g.Client(t)
	for path, want := range map[string]string{
		"/dl/files/a?b=c": "stripped /files/a?b=c",
		"/files/a":        "stripped /a",
		"/old/a?b=c":      "moved /files/moved?b=c&x=y",
		"/dl/other":       "stripped /other",
	} {
		if a := c.Do("GET", s.sign(path, signedurl.Terms{})); a.Body != want && path != "/dl/other" {
			t.Errorf("%s: %+v", path, a)
		}
		a := c.Do("GET", path)
		if path == "/dl/other" {
			if a.Body != want {
				t.Errorf("%s: %+v", path, a)
			}
			continue
		}
		refused(t, path, a)
	}
	refused(t, "signed as it is rewritten", c.Do("GET", strings.Replace(s.sign("/files/a", signedurl.Terms{}), "/files", "/dl/files", 1)))
}

// Caches and origins see the address that was signed; no shared cache in front of the
// gateway may keep the answer.
func TestSignedAnswersArePrivate(t *testing.T) {
	asked := 0
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if control := r.URL.Query().Get("control"); control != "" {
			w.Header().Set("Cache-Control", control)
		}
		w.Header().Set("Cdn-Cache-Control", "max-age=60")
		w.Header().Set("Surrogate-Control", "max-age=60")
		_, _ = fmt.Fprint(w, r.RequestURI)
		if r.URL.Path == "/files/stream" {
			_ = http.NewResponseController(w).Flush()
		}
	}))
	defer origin.Close()
	g := gatewaytest.Run(t, `
SITE {
	hidden_path {
		signed /files/*
	}
	page_cache /files/* {
		ttl 1m
	}
	reverse_proxy `+strings.TrimPrefix(origin.URL, "http://")+` {
		flush_interval -1
	}
}`)
	s, c := newSigner(t, g), g.Client(t)
	for path, want := range map[string]string{
		"/files/a": "private",
		"/files/a?control=public,max-age=60,s-maxage=9":              "private, max-age=60",
		"/files/a?control=no-store":                                  "private, no-store",
		"/files/a?control=private=%22x,y%22,No-Cache=%22a,public%22": `private, No-Cache="a,public"`,
		"/files/stream?control=public":                               "private",
	} {
		a := c.Do("GET", s.sign(path, signedurl.Terms{}))
		if a.Body != path {
			t.Errorf("the origin was asked for %s, not %s", a.Body, path)
		}
		if got := a.Header.Values("Cache-Control"); len(got) != 1 || got[0] != want || a.Header.Get("Cdn-Cache-Control") != "" || a.Header.Get("Surrogate-Control") != "" {
			t.Errorf("%s: headers %v", path, a.Header)
		}
	}
	before := asked
	for ttl := range 3 {
		a := c.Do("GET", s.sign("/files/shared?control=max-age=60", signedurl.Terms{TTL: time.Duration(ttl+1) * time.Hour}))
		if a.Status != 200 || a.Header.Get("Cache-Control") != "private, max-age=60" {
			t.Errorf("%+v", a)
		}
	}
	if asked != before+1 {
		t.Errorf("three links to one page asked the origin %d times", asked-before)
	}
	refused(t, "the page in the cache, without a signature", c.Do("GET", "/files/shared?control=max-age=60"))
}

func TestSignedErrorsCaddy(t *testing.T) {
	g := gatewaytest.Run(t, `
SITE {
	hidden_path {
		signed /files/*
		errors caddy
	}
	handle_errors {
		respond "own page {err.status_code}"
	}
	error /files/broken 503
}`)
	s, c := newSigner(t, g), g.Client(t)
	if a := c.Do("GET", "/files/a"); a.Status != 404 || a.Body != "own page 404" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%+v", a)
	}
	if a := c.Do("GET", s.sign("/files/broken", signedurl.Terms{})); a.Status != 503 || a.Header.Get("Cache-Control") != "private" {
		t.Errorf("%+v", a)
	}
}

// CWE-532: a log that has the filter holds no signature.
func TestNoLogHoldsASignature(t *testing.T) {
	logs := t.TempDir()
	g := gatewaytest.Run(t, strings.ReplaceAll(`
{
	admin ADMIN
	persist_config off
	debug
	log {
		output file LOGS/default
		format filter {
			request>uri path_token
			wrap json
		}
	}
	flashgate {
		data_dir DATA
	}
}
SITE {
	log {
		output file LOGS/access
		format filter {
			request>uri path_token
			wrap json
		}
	}
	hidden_path {
		signed /files/*
	}
	reverse_proxy 127.0.0.1:1
}`, "LOGS", logs))
	s, c := newSigner(t, g), g.Client(t)
	for name, address := range map[string]string{"valid": s.sign("/files/a?b=c", signedurl.Terms{}), "expired": s.expired("/files/a", signedurl.Terms{}), "cut short": s.sign("/files/a", signedurl.Terms{})[1:]} {
		c.Do("GET", "/"+strings.TrimPrefix(address, "/"))
		_, signature, _ := strings.Cut(address, "signature=")
		var text string
		for deadline, tick := time.Now().Add(5*time.Second), time.NewTicker(5*time.Millisecond); !strings.Contains(text, "signature=REDACTED") && time.Now().Before(deadline); <-tick.C {
			text = ""
			for _, file := range []string{"default", "access"} {
				b, err := os.ReadFile(filepath.Join(logs, file))
				if err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
				text += string(b)
			}
		}
		if !strings.Contains(text, "signature=REDACTED") || strings.Contains(text, signature) {
			t.Errorf("%s: the log is\n%s", name, text)
		}
	}
}
