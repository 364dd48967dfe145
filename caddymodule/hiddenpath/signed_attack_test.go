package hiddenpath_test

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/gatewaytest"
	"flashgate/internal/signedurl"
)

// OAT-014 Vulnerability Scanning, CWE-22, CWE-41: what is behind the guard is asked for in
// every other way than by the address that was signed. SIGNED is a valid signature of
// /files/a, good for any query.
func TestSignedGuardFailsClosed(t *testing.T) {
	g := gatewaytest.Run(t, files)
	s, c := newSigner(t, g), g.Client(t)
	_, signature, _ := strings.Cut(s.sign("/files/a", signedurl.Terms{AnyQuery: true}), "?")
	for _, path := range []string{
		"/files",
		"/files/",
		"/files//",
		"/files/b",
		"/files/a/",
		"/files/a/b",
		"/files//a",
		"//files/a",
		"//files//a",
		"/FILES/a",
		"/Files/A",
		"/files%2Fa",
		"/files%2fa",
		"/files%252Fa",
		"/%2Ffiles/a",
		"/%66iles",
		"/%66iles/b",
		"/%2566iles/a",
		"/files/%61%2F",
		"/./files/a",
		"/files/./a",
		"/files/b/../a",
		"/x/../files/a",
		"/x/%2e%2e/files/a",
		"/x/%252e%252e/files/a",
		"/x/..;/files/a",
		"/files/.",
		"/files/..",
		"/files;x=1/a",
		"/files/a;x=1",
		"/files/a%3Bx=1",
		"/files%3B/a",
		`/files\a`,
		"/files%5Ca",
		"/files/a%00",
		"/files%00",
		"/files/a%00.html",
		"/files.",
		"/files./a",
		"/files%20",
		"/files/a%20",
		"/files%3Fa",
		"/files%23a",
		"/users/7/letters",
		"/users//letters",
		"/users/a%2Fb/letters",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"} {
			for _, query := range []string{"", "?" + signature, "?x=/files/a&" + signature} {
				a := c.Do(method, path+query)
				if a.Status != 404 || method != "HEAD" && a.Code() != flashgate.CodePathInvalid {
					t.Errorf("%s %s: %d %s, want path_invalid", method, path+query, a.Status, a.Body)
				}
			}
		}
	}
	// Go spells this path anew, and then without the encoded slash.
	quoted := s.sign("/files/a%22/b", signedurl.Terms{})
	refused(t, "an encoded slash beside what must be encoded", c.Do("GET", strings.Replace(quoted, "a%22/b", `a"%2Fb`, 1)))
	for _, path := range []string{"/files/a?", "/%66iles/%61?", "/files/a?x=y&"} {
		if a := c.Do("GET", path+signature); a.Status != 200 {
			t.Errorf("%s is what was signed: %+v", path, a)
		}
	}
}

// OAT-001 to OAT-021 have no name for it: CWE-347, forged signatures; CWE-294, replay;
// CWE-235, parameter pollution; CWE-350 and CWE-290, host and address spoofed; CWE-650,
// methods. All get the same bytes.
func TestSignedRefusalsAreAlike(t *testing.T) {
	g := gatewaytest.Run(t, files)
	s, c := newSigner(t, g), g.Client(t)
	good := s.sign("/files/a", signedurl.Terms{})
	prefix, text, _ := strings.Cut(good, "signature=")
	prefix += "signature="
	stranger := s
	var err error
	if stranger.keys, err = flashgate.ParseKeyring(flashgate.NewKey()); err != nil {
		t.Fatal(err)
	}
	token, _ := s.keys.Mint(flashgate.Claim{Sale: "GET /files/a"}, time.Now().Add(time.Hour))
	flip := func(i int) string { // the i-th character, six bits, becomes another one
		swapped := byte('A')
		if text[i] == swapped {
			swapped = 'B'
		}
		return text[:i] + string(swapped) + text[i+1:]
	}
	elsewhere := netip.MustParsePrefix("203.0.113.7/32")

	want := c.Do("GET", "/files/a")
	want.Header.Del("Date")
	for name, a := range map[string]gatewaytest.Answer{
		"CWE-347 cut":                      c.Do("GET", good[:len(good)-1]),
		"CWE-347 extended":                 c.Do("GET", good+"A"),
		"CWE-347 encoded again":            c.Do("GET", prefix+"%4"+"1"+text[1:]),
		"CWE-347 padded":                   c.Do("GET", good+"=="),
		"CWE-347 the key's id":             c.Do("GET", prefix+flip(0)),
		"CWE-347 flags":                    c.Do("GET", prefix+flip(6)),
		"CWE-347 expiry":                   c.Do("GET", prefix+flip(12)),
		"CWE-347 MAC":                      c.Do("GET", prefix+flip(40)),
		"CWE-347 a retired key":            c.Do("GET", stranger.sign("/files/a", signedurl.Terms{})),
		"CWE-347 a path token":             c.Do("GET", prefix+token),
		"CWE-347 empty":                    c.Do("GET", prefix),
		"CWE-294 expired":                  c.Do("GET", s.expired("/files/a", signedurl.Terms{})),
		"CWE-294 for another path":         c.Do("GET", strings.Replace(good, "/a", "/b", 1)),
		"CWE-294 for another method":       c.Do("DELETE", good),
		"CWE-650 PUT's for GET":            c.Do("GET", s.sign("/files/a", signedurl.Terms{Method: "PUT"})),
		"CWE-650 method override":          c.Do("POST", good, "X-HTTP-Method-Override", "GET"),
		"CWE-235 twice":                    c.Do("GET", good+"&signature="+text),
		"CWE-235 in another spelling":      c.Do("GET", strings.Replace(good, "signature", "%73ignature", 1)),
		"CWE-235 twice, in two spellings":  c.Do("GET", good+"&%73ignature=x"),
		"CWE-235 after a semicolon":        c.Do("GET", good+";signature="+text),
		"CWE-235 a parameter more":         c.Do("GET", good+"&admin=1"),
		"CWE-350 another host":             c.Do("GET", strings.Replace(s.otherHost("/files/a"), "other.example", "", 1)),
		"CWE-350 another host, forwarded":  c.Do("GET", s.otherHost("/files/a"), "X-Forwarded-Host", "other.example"),
		"CWE-290 another's address":        c.Do("GET", s.sign("/files/a", signedurl.Terms{Address: elsewhere})),
		"CWE-290 X-Forwarded-For":          c.Do("GET", s.sign("/files/a", signedurl.Terms{Address: elsewhere}), "X-Forwarded-For", "203.0.113.7"),
		"CWE-290 Forwarded":                c.Do("GET", s.sign("/files/a", signedurl.Terms{Address: elsewhere}), "Forwarded", "for=203.0.113.7"),
		"CWE-290 X-Original-URL":           c.Do("GET", "/files/b", "X-Original-URL", good),
		"CWE-41 a path of several meaning": c.Do("GET", strings.Replace(good, "/a", "/./a", 1)),
	} {
		a.Header.Del("Date")
		if a.Status != want.Status || a.Body != want.Body || !equalHeaders(a.Header, want.Header) {
			t.Errorf("%s: %+v\nwant %+v", name, a, want)
		}
	}
	refused(t, "no signature", want)
	if want.Header.Get("Cache-Control") != "no-store" || want.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers %v", want.Header)
	}
	if a := c.Do("GET", good); a.Status != 200 {
		t.Errorf("the address itself: %+v", a)
	}
}

// otherHost is signed for other.example.
func (s signer) otherHost(path string) string {
	s.t.Helper()
	signed, err := signedurl.Sign(s.keys, "http://other.example"+path, signedurl.Terms{TTL: time.Hour}, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimPrefix(signed, "http://other.example")
}

// CWE-350: a site of several names does not take a link to one for a link to another.
func TestSignedHosts(t *testing.T) {
	_, port, err := net.SplitHostPort(gatewaytest.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	g := gatewaytest.Run(t, `
http://:`+port+` {
	hidden_path {
		signed /files/*
	}
	respond "origin"
}`)
	s := newSigner(t, g)
	get := func(address, host string) int {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://127.0.0.1:"+port+address, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		res, err := g.Client(t).HTTP.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	one, any := s.otherHost("/files/a"), s.sign("/files/a", signedurl.Terms{AnyHost: true})
	for host, want := range map[string]int{
		"other.example": 200, "OTHER.example": 200, "other.example:80": 200, "other.example:443": 200,
		"other.example:8080": 404, "other.example.": 404, "xother.example": 404, "127.0.0.1:" + port: 404, "shop.example": 404,
	} {
		if got := get(one, host); got != want {
			t.Errorf("for one host, at %s: %d, want %d", host, got, want)
		}
		if got := get(any, host); got != 200 {
			t.Errorf("for any host, at %s: %d", host, got)
		}
	}
}

// CWE-290: the address is the one that Caddy believes, of the proxies that it trusts.
func TestSignedAddressBehindProxies(t *testing.T) {
	g := gatewaytest.Run(t, strings.Replace(gatewaytest.Site(`
	hidden_path {
		signed /files/*
	}
	respond "origin"
`), "trusted_proxies static 127.0.0.1/32", "trusted_proxies static 127.0.0.1/32\n\t\ttrusted_proxies_strict", 1))
	s, c := newSigner(t, g), g.Client(t)
	for _, network := range []string{"203.0.113.7/32", "203.0.113.0/24"} {
		address := s.sign("/files/a", signedurl.Terms{Address: netip.MustParsePrefix(network)})
		if a := c.Do("GET", address, "X-Forwarded-For", "203.0.113.7"); a.Status != 200 {
			t.Errorf("%s: %+v", network, a)
		}
		refused(t, network, c.Do("GET", address, "X-Forwarded-For", "203.0.114.7"))
		// A proxy appends the address that it saw to what the client sent.
		refused(t, network+", sent by the client", c.Do("GET", address, "X-Forwarded-For", "203.0.113.7, 198.51.100.1"))
		refused(t, network+", the proxy itself", c.Do("GET", address))
	}
}

// OAT-017 is no matter here; CWE-613: a link ends to the millisecond, and a key that is
// taken out of the configuration ends all of its links at once.
func TestSignedLinksEnd(t *testing.T) {
	first, second := flashgate.NewKey(), flashgate.NewKey()
	config := func(keys string) string {
		return `
{
	admin ADMIN
	persist_config off
	grace_period 2s
	log {
		output discard
	}
	flashgate {
		data_dir DATA
		keys "` + keys + `"
	}
}
` + files
	}
	g := gatewaytest.Run(t, config(first))
	s, c := newSigner(t, g), g.Client(t)
	var err error
	if s.keys, err = flashgate.ParseKeyring(first); err != nil {
		t.Fatal(err)
	}
	address := s.sign("/files/a", signedurl.Terms{})
	if a := c.Do("GET", address); a.Status != 200 {
		t.Errorf("%+v", a)
	}
	if err := g.Load(config(second + "," + first)); err != nil {
		t.Fatal(err)
	}
	if a := c.Do("GET", address); a.Status != 200 {
		t.Errorf("after a rotation: %+v", a)
	}
	if err := g.Load(config(second)); err != nil {
		t.Fatal(err)
	}
	refused(t, "a retired key", c.Do("GET", address))

	if s.keys, err = flashgate.ParseKeyring(second); err != nil {
		t.Fatal(err)
	}
	made := time.Now()
	address = s.at("/files/a", signedurl.Terms{TTL: time.Second}, made)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	seen := false
	for range tick.C {
		before := time.Since(made)
		a := c.Do("GET", address)
		if a.Status == 200 {
			seen = true
			if before > time.Second+time.Millisecond {
				t.Fatalf("valid after %s", before)
			}
			continue
		}
		refused(t, "expired", a)
		if after := time.Since(made); after < time.Second-time.Millisecond {
			t.Fatalf("expired after %s", after)
		}
		break
	}
	if !seen {
		t.Error("it never was valid")
	}
}
