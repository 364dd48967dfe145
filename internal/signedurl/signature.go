package signedurl

import (
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"strings"
	"time"

	"flashgate"
)

// How long an address can be valid.
const (
	MinTTL = time.Second
	MaxTTL = 366 * 24 * time.Hour
)

// purpose keeps these signatures from counting for anything else.
const purpose = "signed url"

// What a signature leaves open; the other bits are 0.
const (
	anyHost  = 1 << 0
	anyQuery = 1 << 1
)

// Layout of a signature, in bytes: the key's id, what it says, and the MAC. Its text is
// as long as a path token's and longer, so the log filter path_token hides it.
const (
	keySize  = 4
	saidSize = 1 + 1 + 8 // flags, prefix length, expiry
	macSize  = 32
	rawSize  = keySize + saidSize + macSize
)

// strict refuses the unused trailing bits that would give one signature two spellings.
var strict = base64.RawURLEncoding.Strict()

// said is what a signature says of itself.
type said struct {
	flags   byte
	bits    byte  // length of the address prefix that it is bound to; 0: to none
	expires int64 // Unix time in milliseconds
}

func (s said) bytes() (b [saidSize]byte) {
	b[0], b[1] = s.flags, s.bits
	binary.BigEndian.PutUint64(b[2:], uint64(s.expires))
	return b
}

// Facts are what a request is, as the client sent it.
type Facts struct {
	Method  string     // HEAD counts as GET
	Host    string     // as in the Host header
	Path    string     // still escaped
	Query   string     // raw, with the signature
	Address netip.Addr // the client's; may be invalid
}

// fields are what is signed, in this order: what the signature says, the method, the
// host, the path, the query and the address. What is left open is the empty string.
func (s said) fields(method, host, path, query, address string) []string {
	b := s.bytes()
	if s.flags&anyHost != 0 {
		host = ""
	}
	if s.flags&anyQuery != 0 {
		query = ""
	}
	return []string{string(b[:]), method, host, path, query, address}
}

// encode is the text of a signature.
func encode(s said, sig flashgate.Signature) string {
	b := s.bytes()
	raw := make([]byte, 0, rawSize)
	raw = append(raw, sig.Key[:]...)
	raw = append(raw, b[:]...)
	raw = append(raw, sig.MAC[:]...)
	return strict.EncodeToString(raw)
}

// decode reads the text of a signature. What is no signature becomes one of zeros.
func decode(text string) (s said, sig flashgate.Signature, ok bool) {
	var raw [rawSize]byte
	ok = len(text) == strict.EncodedLen(rawSize)
	if ok {
		_, err := strict.Decode(raw[:], []byte(text))
		ok = err == nil
	}
	copy(sig.Key[:], raw[:])
	copy(sig.MAC[:], raw[keySize+saidSize:])
	s.flags, s.bits = raw[keySize], raw[keySize+1]
	s.expires = int64(binary.BigEndian.Uint64(raw[keySize+2:]))
	return s, sig, ok && s.flags&^(anyHost|anyQuery) == 0
}

// lowerHost is a host in small letters without a default port. The scheme is not signed:
// behind a proxy that ends TLS nobody knows the client's.
func lowerHost(host string) string {
	host = strings.ToLower(host)
	if h, ok := strings.CutSuffix(host, ":443"); ok {
		return h
	}
	return strings.TrimSuffix(host, ":80")
}

// network is the text of the prefix of an address, such as 203.0.113.7/32; empty for
// no bits, and for more than the address has.
func network(a netip.Addr, bits byte) string {
	p, err := a.Unmap().WithZone("").Prefix(int(bits))
	if err != nil || bits == 0 || !p.IsValid() { // the zero Addr has no error
		return ""
	}
	return p.String()
}
