package signedurl_test

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/signedurl"
)

// CWE-347, improper verification of a signature: whatever is done to it, it is refused.
func TestForgedSignatures(t *testing.T) {
	t.Parallel()
	first, second := flashgate.NewKey(), flashgate.NewKey()
	keys := keyring(t, second)
	signed := sign(t, keys, "https://shop.example/a", signedurl.Terms{})
	prefix, text, _ := strings.Cut(signed, "signature=")
	prefix += "signature="
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	check := func(name, address string) {
		t.Helper()
		if got := (signedurl.Policy{}).Verify(keys, request(t, address), start); got.Status != signedurl.Invalid {
			t.Errorf("%s: %s", name, got.Status)
		}
	}
	for bit := range len(raw) * 8 { // the id of the key, flags, prefix length, expiry, MAC
		broken := append([]byte(nil), raw...)
		broken[bit/8] ^= 1 << (bit % 8)
		check("a bit flipped", prefix+base64.RawURLEncoding.EncodeToString(broken))
	}
	for i := range len(text) {
		check("cut", prefix+text[:i])
	}
	zeros := make([]byte, len(raw))
	check("the MAC of zeros", prefix+base64.RawURLEncoding.EncodeToString(append(raw[:14:14], zeros[14:]...)))
	check("all zeros", prefix+base64.RawURLEncoding.EncodeToString(zeros))
	check("extended", prefix+text+"A")
	check("extended by a byte", prefix+base64.RawURLEncoding.EncodeToString(append(raw[:len(raw):len(raw)], 0)))
	check("padded", prefix+text+"==")
	check("encoded", prefix+"%"+"4"+"1"+text[1:])
	check("standard base64", prefix+strings.NewReplacer("-", "+", "_", "/").Replace(text)+"=")
	check("with a blank", prefix+text+"+")
	check("with a line break in it", prefix+text[:30]+"%0A"+text[30:])
	last := strings.IndexByte(alphabet, text[61])
	for bits := 1; bits < 16; bits++ { // 46 bytes leave four bits that mean nothing
		check("with the unused bits set", prefix+text[:61]+string(alphabet[last|bits]))
	}

	// Of a MAC of another use, or of another site's or a retired key, nothing is believed.
	retired := sign(t, keyring(t, first), "https://shop.example/a", signedurl.Terms{})
	check("a retired key", retired)
	_, old, _ := strings.Cut(retired, "signature=")
	oldRaw, _ := base64.RawURLEncoding.DecodeString(old)
	check("a retired key's MAC under the id of a good one", prefix+base64.RawURLEncoding.EncodeToString(append(raw[:4:4], oldRaw[4:]...)))
	path, _ := keys.Mint(flashgate.Claim{Sale: "1"}, start.Add(time.Hour))
	check("a path token", prefix+path)
	check("a stamp", prefix+keys.Stamp("signed url", start.Add(time.Hour)))
	s := keys.Sign("another use", "x")
	check("another use", prefix+base64.RawURLEncoding.EncodeToString(append(raw[:14:14], s.MAC[:]...)))

	if got := (signedurl.Policy{}).Verify(keyring(t, first, second), request(t, signed), start); got.Status != signedurl.Valid {
		t.Errorf("after a rotation: %s", got.Status)
	}
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// CWE-235, parameter pollution: a second signature, in whatever spelling, spoils the first.
func TestParameterPollution(t *testing.T) {
	t.Parallel()
	keys := keyring(t)
	for _, terms := range []signedurl.Terms{{}, {AnyQuery: true}} {
		f := request(t, sign(t, keys, "https://shop.example/a", terms))
		for _, query := range []string{
			f.Query + "&" + f.Query,
			f.Query + "&signature=",
			f.Query + "&signature",
			"signature=x&" + f.Query,
			f.Query + "&%73ignature=x",
			f.Query + "&signatur%65",
			"%73%69gnature=x&" + f.Query,
			f.Query + "&b=c;signature=x",
			f.Query + "&;signature=x",
			f.Query + ";signature=x",
			f.Query + ";b=c",
			strings.Replace(f.Query, "signature", "%73ignature", 1),
			strings.Replace(f.Query, "signature", "signatur%65", 1),
			"b;" + f.Query,
		} {
			g := f
			g.Query = query
			if got := (signedurl.Policy{}).Verify(keys, g, start); got.Status != signedurl.Invalid {
				t.Errorf("%+v %s: %s", terms, query, got.Status)
			}
		}
		for _, query := range []string{"", "Signature=x", "signature[]=x", "b=signature=x", "b=%26signature=x"} {
			g := f
			g.Query = query
			if got := (signedurl.Policy{}).Verify(keys, g, start); got.Status != signedurl.Missing {
				t.Errorf("%+v %s: %s", terms, query, got.Status)
			}
		}
	}
}

// CWE-22 and CWE-41, path equivalence: other paths, and paths that servers read in more
// than one way, are refused; what means the same by RFC 3986 is not.
func TestPathEquivalence(t *testing.T) {
	t.Parallel()
	keys := keyring(t)
	f := request(t, sign(t, keys, "https://shop.example/files/a%3Bb", signedurl.Terms{AnyQuery: true}))
	for path, want := range map[string]signedurl.Status{
		"/files/a%3Bb":       signedurl.Valid,
		"/files/a%3bb":       signedurl.Valid,
		"/%66iles/%61%3Bb":   signedurl.Valid,
		"/files/a;b":         signedurl.Invalid, // a parameter, to some
		"/files/a%253Bb":     signedurl.Invalid,
		"/Files/a%3Bb":       signedurl.Invalid,
		"/files/a%3Bb/":      signedurl.Invalid,
		"/files//a%3Bb":      signedurl.Invalid,
		"//files/a%3Bb":      signedurl.Invalid,
		"/files%2Fa%3Bb":     signedurl.Invalid,
		"/files/%2e/a%3Bb":   signedurl.Invalid,
		"/files/x/../a%3Bb":  signedurl.Invalid,
		"/x/%2E%2e/a%3Bb":    signedurl.Invalid,
		"/files/a%3Bb/.":     signedurl.Invalid,
		`/files\a%3Bb`:       signedurl.Invalid,
		"/files/a%3Bb%00":    signedurl.Invalid,
		"/files/a%3Bb%":      signedurl.Invalid,
		"/files/a%3Bb%0a":    signedurl.Invalid,
		"/files/a%3Bb#":      signedurl.Invalid,
		"/files/a%3Bb%23":    signedurl.Invalid,
		"/files/a%3Bb;x=y":   signedurl.Invalid,
		"files/a%3Bb":        signedurl.Invalid,
		"":                   signedurl.Invalid,
		"*":                  signedurl.Invalid,
		"/files/a%3Bb%C0%80": signedurl.Invalid, // an overlong NUL
	} {
		g := f
		g.Path = path
		if got := (signedurl.Policy{}).Verify(keys, g, start); got.Status != want {
			t.Errorf("%s: %s, want %s", path, got.Status, want)
		}
	}
}

// FuzzVerify looks for a request that a signature was not made for and that verifies.
func FuzzVerify(f *testing.F) {
	keys := keyring(f)
	other := keyring(f)
	f.Add("/files/a%3Bb", "b=c", "/files/a;b", "b=c&SIG", "GET", "shop.example", byte(0))
	f.Add("/files/a", "", "/%66iles/a", "SIG", "HEAD", "SHOP.example:443", byte(3))
	f.Add("/files/a", "x", "/files/../files/a", "x&%73ignature=a&SIG", "POST", "shop.example", byte(2))
	f.Add("/", "a=1;b", "//", "SIG&SIG", "PUT", "", byte(1))
	f.Fuzz(func(t *testing.T, path, query, otherPath, otherQuery, method, host string, flags byte) {
		terms := signedurl.Terms{TTL: time.Hour, AnyHost: flags&1 != 0, AnyQuery: flags&2 != 0}
		signed, err := signedurl.Sign(keys, "https://shop.example"+path+"?"+query, terms, start)
		if err != nil {
			return
		}
		facts := request(t, signed)
		if got := (signedurl.Policy{}).Verify(keys, facts, start); got.Status != signedurl.Valid {
			t.Fatalf("%s: %s", signed, got.Status)
		}
		if got := (signedurl.Policy{}).Verify(other, facts, start); got.Status != signedurl.Invalid {
			t.Fatalf("%s with another key: %s", signed, got.Status)
		}
		signature := facts.Query[strings.LastIndex(facts.Query, "signature="):]
		seen := signedurl.Facts{Method: method, Host: host, Path: otherPath, Query: strings.ReplaceAll(otherQuery, "SIG", signature), Address: facts.Address}
		if got := (signedurl.Policy{}).Verify(keys, seen, start); got.Status != signedurl.Valid {
			return
		}
		// It was let in: then all that was bound must be what was signed.
		a, _ := url.PathUnescape(facts.Path)
		b, err := url.PathUnescape(otherPath)
		if err != nil || a != b || strings.Count(facts.Path, "/") != strings.Count(otherPath, "/") {
			t.Errorf("signed %q, let in %q", facts.Path, otherPath)
		}
		clean := signedurl.Without(facts.Query, "signature")
		if rest := signedurl.Without(seen.Query, "signature"); !terms.AnyQuery && rest != clean {
			t.Errorf("signed the query %q, let in %q", clean, rest)
		}
		if method != "GET" && method != "HEAD" {
			t.Errorf("let in %s", method)
		}
		bare := strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(host), ":443"), ":80")
		if !terms.AnyHost && bare != "shop.example" {
			t.Errorf("let in the host %q", host)
		}
	})
}

// FuzzCanonical checks that the canonical form means the same and has no second form.
func FuzzCanonical(f *testing.F) {
	for _, path := range []string{"/", "/a/b/", "/%41%2f", "/a;b%3Bc", "/..;", "/%C3%A9é", "/a%25b[]|", "//", "/a/./b"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		form, ok := signedurl.Canonical(path)
		if !ok {
			return
		}
		if again, ok := signedurl.Canonical(form); !ok || again != form {
			t.Errorf("%q became %q, and then %q, %v", path, form, again, ok)
		}
		a, err := url.PathUnescape(path)
		b, berr := url.PathUnescape(form)
		if err != nil || berr != nil || a != b {
			t.Errorf("%q means %q, %v; its form %q means %q, %v", path, a, err, form, b, berr)
		}
		if strings.Contains(b+"/", "/../") || strings.Contains(b+"/", "/./") || strings.Contains(b, "//") || strings.ContainsAny(b, "\\\x00") {
			t.Errorf("%q has a form: %q", path, form)
		}
	})
}
