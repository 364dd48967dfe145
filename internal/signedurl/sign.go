package signedurl

import (
	"net/netip"
	"net/url"
	"strings"
	"time"

	"flashgate"
)

const op = "signedurl.Sign"

// Terms are what a signed address is good for.
type Terms struct {
	TTL       time.Duration // MinTTL to MaxTTL
	Method    string        // default GET, which HEAD may use as well
	Address   netip.Prefix  // of the client; the zero Prefix: any
	AnyHost   bool          // good for any host
	AnyQuery  bool          // good whatever else is in the query
	Parameter string        // name of the signature's parameter; default: DefaultParameter
}

// Sign signs an address, from now on: http://… or https://…, or with AnyHost also a path.
// It returns the address with the signature at the end of its query; the path is in
// canonical form, and everything else is as it was. Every error is CodeInvalid and says
// what to do.
func Sign(keys *flashgate.Keyring, address string, t Terms, now time.Time) (string, error) {
	method, err := t.check()
	if err != nil {
		return "", err
	}
	u, err := parse(address, t.AnyHost)
	if err != nil {
		return "", err
	}
	path, problem := canonical(sentPath(u))
	if problem != "" {
		return "", flashgate.Invalid(op, "url", "the path %s: such an address never verifies", problem)
	}
	parameter := Policy{Parameter: t.Parameter}.parameter()
	if err := checkQuery(u.RawQuery, parameter); err != nil {
		return "", err
	}

	s := said{bits: byte(max(t.Address.Bits(), 0)), expires: now.Add(t.TTL).UnixMilli()}
	if t.AnyHost {
		s.flags |= anyHost
	}
	if t.AnyQuery {
		s.flags |= anyQuery
	}
	sig := keys.Sign(purpose, s.fields(method, lowerHost(u.Host), path, u.RawQuery, network(t.Address.Addr(), s.bits))...)

	var b strings.Builder
	if u.Scheme != "" {
		b.WriteString(u.Scheme + "://" + u.Host)
	}
	b.WriteString(path + "?")
	if u.RawQuery != "" {
		b.WriteString(u.RawQuery + "&")
	}
	b.WriteString(parameter + "=" + encode(s, sig))
	return b.String(), nil
}

// check checks the terms and returns the method.
func (t Terms) check() (method string, err error) {
	if t.TTL < MinTTL || t.TTL > MaxTTL {
		return "", flashgate.Invalid(op, "ttl", "must be between %s and %s", MinTTL, MaxTTL)
	}
	if t.Parameter != "" {
		if err := CheckParameter(t.Parameter); err != nil {
			return "", flashgate.Invalid(op, "parameter", "%v", err)
		}
	}
	if a := t.Address; a != (netip.Prefix{}) && (!a.IsValid() || a.Bits() == 0 || a.Addr().Is4In6()) {
		return "", flashgate.Invalid(op, "address", "must be an address such as 203.0.113.7, or a network such as 2001:db8::/64")
	}
	method = t.Method
	if method == "" {
		method = "GET"
	}
	if method == "HEAD" {
		return "", flashgate.Invalid(op, "method", "HEAD may use what is signed for GET: sign that")
	}
	for i := range len(method) {
		if c := method[i]; c < 'A' || c > 'Z' {
			return "", flashgate.Invalid(op, "method", "%q is not a method in capital letters, such as PUT", method)
		}
	}
	return method, nil
}

// parse reads what is to be signed.
func parse(address string, anyHost bool) (*url.URL, error) {
	if strings.Contains(address, "#") {
		return nil, flashgate.Invalid(op, "url", "has a fragment, which is never sent: leave the # and what follows out")
	}
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, flashgate.Invalid(op, "url", "%v", err)
	case strings.HasPrefix(address, "/") && u.Host == "" && u.Scheme == "":
		if !anyHost {
			return nil, flashgate.Invalid(op, "url", "has no host: give a whole address such as https://shop.example/files/1, or sign it for any host")
		}
		return u, nil
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Opaque != "":
		return nil, flashgate.Invalid(op, "url", "must be a whole address, such as https://shop.example/files/1")
	case u.User != nil:
		return nil, flashgate.Invalid(op, "url", "has a user in it, which is no part of the address: leave it out")
	case !plainHost(u.Host):
		return nil, flashgate.Invalid(op, "url", "the host %q has other characters than a Host header: write it as browsers send it (xn--…)", u.Host)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u, nil
}

func plainHost(host string) bool {
	for i := range len(host) {
		if c := host[i]; !unreserved(c) && strings.IndexByte("[]:", c) < 0 || c == '~' {
			return false
		}
	}
	return !strings.HasSuffix(host, ":") && !strings.HasPrefix(host, ":")
}

// sentPath is the path as a client sends it.
func sentPath(u *url.URL) string {
	if u.RawPath != "" {
		return u.RawPath
	}
	return u.EscapedPath()
}

// checkQuery refuses what clients send in another spelling: the query is signed byte for
// byte.
func checkQuery(query, parameter string) error {
	if take(query, parameter).found {
		return flashgate.Invalid(op, "url", "has the parameter %s already: leave it out, or name the signature's parameter otherwise", parameter)
	}
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c > '~' || strings.IndexByte(`"'<>`, c) >= 0 {
			return flashgate.Invalid(op, "url", "the query has %q in it: percent-encode it, as browsers do", c)
		}
	}
	return nil
}
