package signedurl

import (
	"time"

	"flashgate"
)

// Status is what a signature is worth.
type Status string

// The statuses. Only Valid lets anybody in.
const (
	Valid   Status = "valid"
	Expired Status = "expired" // once valid for this very request
	Invalid Status = "invalid"
	Missing Status = "missing"
)

// Result is what became of a request's signature.
type Result struct {
	Status  Status
	Expires time.Time // of a valid or expired signature, else zero
}

// Policy says which signatures count. The zero Policy takes all that Sign makes with the
// default parameter.
type Policy struct {
	Parameter      string // default: DefaultParameter
	RequireAddress bool   // refuse what is not bound to an address
	RequireHost    bool   // refuse what is good for any host
	RequireQuery   bool   // refuse what is good for any query
}

// Verify judges the signature of a request. Every reason to refuse takes the same work,
// and comparison takes constant time. An expiry more than MaxTTL ahead is invalid, so
// nobody who can sign makes a link for ever.
func (p Policy) Verify(keys *flashgate.Keyring, f Facts, now time.Time) Result {
	q := take(f.Query, p.parameter())
	s, sig, formed := decode(q.value)
	path, problem := canonical(f.Path)
	method := f.Method
	if method == "HEAD" {
		method = "GET" // the same without a body (RFC 9110, section 9.3.2)
	}
	address := network(f.Address, s.bits)
	same := keys.Verify(sig, purpose, s.fields(method, lowerHost(f.Host), path, q.rest, address)...)

	bound := s.bits == 0 || address != ""
	expires := time.UnixMilli(s.expires)
	switch {
	case !q.found:
		return Result{Status: Missing}
	case !q.once || !formed || problem != "" || !bound || !same || !p.meets(s) || expires.Sub(now) > MaxTTL:
		return Result{Status: Invalid}
	case !now.Before(expires):
		return Result{Status: Expired, Expires: expires}
	default:
		return Result{Status: Valid, Expires: expires}
	}
}

func (p Policy) parameter() string {
	if p.Parameter == "" {
		return DefaultParameter
	}
	return p.Parameter
}

func (p Policy) meets(s said) bool {
	return !(p.RequireAddress && s.bits == 0 || p.RequireHost && s.flags&anyHost != 0 || p.RequireQuery && s.flags&anyQuery != 0)
}

// Canonical is the form of a path in which it is signed; false when there is none, as
// servers read the path in more than one way.
func Canonical(escapedPath string) (string, bool) {
	path, problem := canonical(escapedPath)
	return path, problem == ""
}
