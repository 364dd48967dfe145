package signedurl_test

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/signedurl"
)

var start = time.UnixMilli(1_800_000_000_000)

func keyring(t testing.TB, keys ...string) *flashgate.Keyring {
	t.Helper()
	if len(keys) == 0 {
		keys = []string{flashgate.NewKey()}
	}
	ring, err := flashgate.ParseKeyring(strings.Join(keys, ","))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func sign(t testing.TB, keys *flashgate.Keyring, address string, terms signedurl.Terms) string {
	t.Helper()
	if terms.TTL == 0 {
		terms.TTL = time.Hour
	}
	signed, err := signedurl.Sign(keys, address, terms, start)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// request is what a server sees of a GET of an address from 203.0.113.7.
func request(t testing.TB, address string) signedurl.Facts {
	t.Helper()
	rest, _ := strings.CutPrefix(address, "https://")
	host, rest, _ := strings.Cut(rest, "/")
	u, err := url.ParseRequestURI("/" + rest)
	if err != nil {
		t.Fatal(err)
	}
	path := u.RawPath
	if path == "" {
		path = u.EscapedPath()
	}
	return signedurl.Facts{Method: "GET", Host: host, Path: path, Query: u.RawQuery, Address: netip.MustParseAddr("203.0.113.7")}
}

func TestTheAddressIsSigned(t *testing.T) {
	t.Parallel()
	keys := keyring(t)
	for address, want := range map[string]string{
		"https://shop.example":                  "https://shop.example/?",
		"https://shop.example/":                 "https://shop.example/?",
		"https://Shop.Example/a/":               "https://Shop.Example/a/?",
		"https://shop.example/a?b=c&d":          "https://shop.example/a?b=c&d&",
		"https://shop.example/%7Ea%2d%c3%a9?x":  "https://shop.example/~a-%C3%A9?x&",
		"https://shop.example/a b/é;%3b/%24$":   "https://shop.example/a%20b/%C3%A9;%3B/%24$?",
		"https://shop.example:8443/%41?%41=+&&": "https://shop.example:8443/A?%41=+&&&",
	} {
		signed := sign(t, keys, address, signedurl.Terms{})
		text, ok := strings.CutPrefix(signed, want+"signature=")
		if !ok || len(text) != 62 {
			t.Errorf("%s became %s", address, signed)
		}
		got := signedurl.Policy{}.Verify(keys, request(t, signed), start)
		if got.Status != signedurl.Valid || !got.Expires.Equal(start.Add(time.Hour)) {
			t.Errorf("%s: %+v", signed, got)
		}
	}
}

// What a signature binds, and what it leaves open.
func TestBindings(t *testing.T) {
	t.Parallel()
	keys := keyring(t)
	const address = "https://shop.example/files/a?b=c"
	none := netip.Prefix{}
	host := netip.MustParsePrefix("203.0.113.7/32")
	for _, c := range []struct {
		name   string
		terms  signedurl.Terms
		change func(f *signedurl.Facts)
		want   signedurl.Status
	}{
		{"as it is", signedurl.Terms{}, func(*signedurl.Facts) {}, signedurl.Valid},
		{"HEAD", signedurl.Terms{}, func(f *signedurl.Facts) { f.Method = "HEAD" }, signedurl.Valid},
		{"POST", signedurl.Terms{}, func(f *signedurl.Facts) { f.Method = "POST" }, signedurl.Invalid},
		{"get", signedurl.Terms{}, func(f *signedurl.Facts) { f.Method = "get" }, signedurl.Invalid},
		{"PUT for PUT", signedurl.Terms{Method: "PUT"}, func(f *signedurl.Facts) { f.Method = "PUT" }, signedurl.Valid},
		{"GET for PUT", signedurl.Terms{Method: "PUT"}, func(*signedurl.Facts) {}, signedurl.Invalid},
		{"HEAD for PUT", signedurl.Terms{Method: "PUT"}, func(f *signedurl.Facts) { f.Method = "HEAD" }, signedurl.Invalid},

		{"a host in capitals", signedurl.Terms{}, func(f *signedurl.Facts) { f.Host = "SHOP.example" }, signedurl.Valid},
		{"the port of https", signedurl.Terms{}, func(f *signedurl.Facts) { f.Host += ":443" }, signedurl.Valid},
		{"the port of http", signedurl.Terms{}, func(f *signedurl.Facts) { f.Host += ":80" }, signedurl.Valid},
		{"another port", signedurl.Terms{}, func(f *signedurl.Facts) { f.Host += ":8080" }, signedurl.Invalid},
		{"a host", signedurl.Terms{}, func(f *signedurl.Facts) { f.Host = "other.example" }, signedurl.Invalid},
		{"a host with a dot more", signedurl.Terms{}, func(f *signedurl.Facts) { f.Host += "." }, signedurl.Invalid},
		{"no host", signedurl.Terms{}, func(f *signedurl.Facts) { f.Host = "" }, signedurl.Invalid},
		{"any host", signedurl.Terms{AnyHost: true}, func(f *signedurl.Facts) { f.Host = "other.example:81" }, signedurl.Valid},

		{"a parameter more", signedurl.Terms{}, func(f *signedurl.Facts) { f.Query += "&x=y" }, signedurl.Invalid},
		{"a parameter in front", signedurl.Terms{}, func(f *signedurl.Facts) { f.Query = "x=y&" + f.Query }, signedurl.Invalid},
		{"another value", signedurl.Terms{}, func(f *signedurl.Facts) { f.Query = strings.Replace(f.Query, "b=c", "b=d", 1) }, signedurl.Invalid},
		{"another spelling", signedurl.Terms{}, func(f *signedurl.Facts) { f.Query = strings.Replace(f.Query, "b=c", "b=%63", 1) }, signedurl.Invalid},
		{"no parameter", signedurl.Terms{}, func(f *signedurl.Facts) { f.Query = strings.Replace(f.Query, "b=c&", "", 1) }, signedurl.Invalid},
		{"an ampersand more", signedurl.Terms{}, func(f *signedurl.Facts) { f.Query += "&" }, signedurl.Invalid},
		{"a parameter more, any query", signedurl.Terms{AnyQuery: true}, func(f *signedurl.Facts) { f.Query += "&utm_source=x" }, signedurl.Valid},
		{"no parameter, any query", signedurl.Terms{AnyQuery: true}, func(f *signedurl.Facts) { f.Query = strings.Replace(f.Query, "b=c&", "", 1) }, signedurl.Valid},

		{"its address", signedurl.Terms{Address: host}, func(*signedurl.Facts) {}, signedurl.Valid},
		{"its address as IPv6", signedurl.Terms{Address: host}, func(f *signedurl.Facts) { f.Address = netip.MustParseAddr("::ffff:203.0.113.7") }, signedurl.Valid},
		{"another address", signedurl.Terms{Address: host}, func(f *signedurl.Facts) { f.Address = netip.MustParseAddr("203.0.113.8") }, signedurl.Invalid},
		{"the same bits of IPv6", signedurl.Terms{Address: host}, func(f *signedurl.Facts) { f.Address = netip.MustParseAddr("cb00:7107::1") }, signedurl.Invalid},
		{"nobody's address", signedurl.Terms{Address: host}, func(f *signedurl.Facts) { f.Address = netip.Addr{} }, signedurl.Invalid},
		{"nobody's address, unbound", signedurl.Terms{Address: none}, func(f *signedurl.Facts) { f.Address = netip.Addr{} }, signedurl.Valid},
		{"its network", signedurl.Terms{Address: netip.MustParsePrefix("203.0.113.200/24")}, func(*signedurl.Facts) {}, signedurl.Valid},
		{"another network", signedurl.Terms{Address: netip.MustParsePrefix("203.0.114.0/24")}, func(*signedurl.Facts) {}, signedurl.Invalid},
		{"its IPv6 network", signedurl.Terms{Address: netip.MustParsePrefix("2001:db8::/64")}, func(f *signedurl.Facts) { f.Address = netip.MustParseAddr("2001:db8::9%eth0") }, signedurl.Valid},
		{"another IPv6 network", signedurl.Terms{Address: netip.MustParsePrefix("2001:db8::/64")}, func(f *signedurl.Facts) { f.Address = netip.MustParseAddr("2001:db8:0:1::9") }, signedurl.Invalid},
		{"IPv4 for an IPv6 network", signedurl.Terms{Address: netip.MustParsePrefix("2001:db8::/64")}, func(*signedurl.Facts) {}, signedurl.Invalid},
	} {
		f := request(t, sign(t, keys, address, c.terms))
		c.change(&f)
		if got := (signedurl.Policy{}).Verify(keys, f, start); got.Status != c.want {
			t.Errorf("%s: %s, want %s", c.name, got.Status, c.want)
		}
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	keys := keyring(t)
	f := request(t, sign(t, keys, "https://shop.example/a", signedurl.Terms{TTL: time.Second}))
	other := f
	other.Path = "/b"
	for _, c := range []struct {
		after time.Duration
		want  signedurl.Status
	}{
		{0, signedurl.Valid},
		{time.Second - time.Nanosecond, signedurl.Valid},
		{time.Second, signedurl.Expired},
		{time.Second + time.Nanosecond, signedurl.Expired},
		{100 * 366 * 24 * time.Hour, signedurl.Expired},
		{-signedurl.MaxTTL + time.Second, signedurl.Valid},
		{-signedurl.MaxTTL, signedurl.Invalid}, // a clock that is a year behind, or a link for ever
	} {
		if got := (signedurl.Policy{}).Verify(keys, f, start.Add(c.after)); got.Status != c.want {
			t.Errorf("after %s: %+v, want %s", c.after, got, c.want)
		}
	}
	if got := (signedurl.Policy{}).Verify(keys, other, start.Add(time.Hour)); got.Status != signedurl.Invalid || !got.Expires.IsZero() {
		t.Errorf("expired, and not for this: %+v", got)
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	keys := keyring(t)
	for _, c := range []struct {
		name   string
		policy signedurl.Policy
		terms  signedurl.Terms
		want   signedurl.Status
	}{
		{"an address is required", signedurl.Policy{RequireAddress: true}, signedurl.Terms{}, signedurl.Invalid},
		{"and there", signedurl.Policy{RequireAddress: true}, signedurl.Terms{Address: netip.MustParsePrefix("203.0.113.0/24")}, signedurl.Valid},
		{"the host is required", signedurl.Policy{RequireHost: true}, signedurl.Terms{AnyHost: true}, signedurl.Invalid},
		{"and there", signedurl.Policy{RequireHost: true}, signedurl.Terms{AnyQuery: true}, signedurl.Valid},
		{"the query is required", signedurl.Policy{RequireQuery: true}, signedurl.Terms{AnyQuery: true}, signedurl.Invalid},
		{"and there", signedurl.Policy{RequireQuery: true}, signedurl.Terms{AnyHost: true}, signedurl.Valid},
		{"another parameter", signedurl.Policy{Parameter: "sig"}, signedurl.Terms{}, signedurl.Missing},
		{"that parameter", signedurl.Policy{Parameter: "sig"}, signedurl.Terms{Parameter: "sig"}, signedurl.Valid},
	} {
		f := request(t, sign(t, keys, "https://shop.example/a?b", c.terms))
		if got := c.policy.Verify(keys, f, start); got.Status != c.want {
			t.Errorf("%s: %s, want %s", c.name, got.Status, c.want)
		}
	}
}

func TestWithout(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"":                       "",
		"signature=x":            "",
		"a=b&signature=x":        "a=b",
		"signature=x&a=b":        "a=b",
		"a&&signature=x&b=%zz":   "a&&b=%zz",
		"%73ignature=x&a":        "a",
		"signature=x&signature":  "",
		"a;signature=x&b":        "b",
		"signatures=x&xsignatur": "signatures=x&xsignatur",
		"Signature=x":            "Signature=x",
	} {
		if got := signedurl.Without(query, "signature"); got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
}

func TestSignErrors(t *testing.T) {
	t.Parallel()
	keys := keyring(t)
	const path = "https://shop.example/a"
	for _, c := range []struct {
		address string
		terms   signedurl.Terms
		want    string
	}{
		{"/a", signedurl.Terms{}, "url: has no host: give a whole address such as https://shop.example/files/1, or sign it for any host"},
		{"a", signedurl.Terms{}, "url: must be a whole address, such as https://shop.example/files/1"},
		{"a", signedurl.Terms{AnyHost: true}, "url: must be a whole address, such as https://shop.example/files/1"},
		{"//shop.example/a", signedurl.Terms{}, "url: must be a whole address, such as https://shop.example/files/1"},
		{"ftp://shop.example/a", signedurl.Terms{}, "url: must be a whole address, such as https://shop.example/files/1"},
		{"https:shop.example", signedurl.Terms{}, "url: must be a whole address, such as https://shop.example/files/1"},
		{"", signedurl.Terms{}, "url: must be a whole address, such as https://shop.example/files/1"},
		{"https://u:p@shop.example/a", signedurl.Terms{}, "url: has a user in it, which is no part of the address: leave it out"},
		{"https://käse.example/a", signedurl.Terms{}, `url: the host "käse.example" has other characters than a Host header: write it as browsers send it (xn--…)`},
		{path + "#b", signedurl.Terms{}, "url: has a fragment, which is never sent: leave the # and what follows out"},
		{path + "?signature=x", signedurl.Terms{}, "url: has the parameter signature already: leave it out, or name the signature's parameter otherwise"},
		{path + "?%73ig=x", signedurl.Terms{Parameter: "sig"}, "url: has the parameter sig already: leave it out, or name the signature's parameter otherwise"},
		{path + "?b=ü", signedurl.Terms{}, `url: the query has 'Ã' in it: percent-encode it, as browsers do`},
		{path + "?b=c d", signedurl.Terms{}, `url: the query has ' ' in it: percent-encode it, as browsers do`},
		{path + "%zz", signedurl.Terms{}, `url: parse "https://shop.example/a%zz": invalid URL escape "%zz"`},
		{path + "%2Fb", signedurl.Terms{}, "url: the path has an encoded slash: such an address never verifies"},
		{path + `\b`, signedurl.Terms{}, "url: the path has a backslash: such an address never verifies"},
		{path + `%5cb`, signedurl.Terms{}, "url: the path has a backslash: such an address never verifies"},
		{path + `%00`, signedurl.Terms{}, "url: the path has a control character: such an address never verifies"},
		{path + `//b`, signedurl.Terms{}, "url: the path has an empty segment: such an address never verifies"},
		{path + `/../b`, signedurl.Terms{}, "url: the path has a dot segment: such an address never verifies"},
		{path + `/%2e`, signedurl.Terms{}, "url: the path has a dot segment: such an address never verifies"},
		{path + `/..;/b`, signedurl.Terms{}, "url: the path has a dot segment: such an address never verifies"},
		{path + `/..%3b/b`, signedurl.Terms{}, "url: the path has a dot segment: such an address never verifies"},
		{path, signedurl.Terms{TTL: time.Millisecond}, "ttl: must be between 1s and 8784h0m0s"},
		{path, signedurl.Terms{TTL: signedurl.MaxTTL + 1}, "ttl: must be between 1s and 8784h0m0s"},
		{path, signedurl.Terms{Method: "HEAD"}, "method: HEAD may use what is signed for GET: sign that"},
		{path, signedurl.Terms{Method: "put"}, `method: "put" is not a method in capital letters, such as PUT`},
		{path, signedurl.Terms{Parameter: "a.b"}, "parameter: must be 1 to 32 letters, digits, underscores and hyphens"},
		{path, signedurl.Terms{Address: netip.MustParsePrefix("0.0.0.0/0")}, "address: must be an address such as 203.0.113.7, or a network such as 2001:db8::/64"},
		{path, signedurl.Terms{Address: netip.MustParsePrefix("::ffff:1.2.3.4/128")}, "address: must be an address such as 203.0.113.7, or a network such as 2001:db8::/64"},
	} {
		if c.terms.TTL == 0 {
			c.terms.TTL = time.Hour
		}
		_, err := signedurl.Sign(keys, c.address, c.terms, start)
		if want := "signedurl.Sign: " + c.want + " (invalid)"; err == nil || err.Error() != want {
			t.Errorf("%s %+v:\n%v\nwant\n%s", c.address, c.terms, err, want)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	keys := keyring(b)
	b.ReportAllocs()
	for b.Loop() {
		sign(b, keys, "https://shop.example/files/2026/report.pdf?page=1", signedurl.Terms{})
	}
}

func BenchmarkVerify(b *testing.B) {
	keys := keyring(b)
	good := request(b, sign(b, keys, "https://shop.example/files/2026/report.pdf?page=1", signedurl.Terms{}))
	invalid, missing := good, good
	invalid.Path += "x"
	missing.Query = "page=1"
	for name, f := range map[string]signedurl.Facts{"valid": good, "invalid": invalid, "missing": missing} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				signedurl.Policy{}.Verify(keys, f, start)
			}
		})
	}
}
