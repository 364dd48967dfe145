package hiddenpath

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// maxReply bounds what is kept of an answer, header and body together: 64 KiB.
const maxReply = 64 << 10

// States of a token without a sale, the first byte of its one-time value. A token that
// has no value is over, or the store has lost it: both are refused.
const (
	stateFresh = 'f' // nothing follows
	stateUsed  = 'u' // 8 random bytes of the request that uses it
	stateReply = 'r' // a reply
)

// replyVersion is the second byte of a reply. A gateway that does not know it treats the
// reply as not known.
const replyVersion = 1

// A reply is the state, the version, the body's length in 4 bytes, the status in 2, the
// header, the body, the trailer. Header and trailer are a number of pairs and then name
// and value of each, texts with their length in front; numbers are uvarints.
const (
	lengthAt    = 2
	statusAt    = lengthAt + 4
	replyHeadAt = statusAt + 2
)

// hopByHop are for one connection only (RFC 9110, section 7.6.1); so is what Connection
// names. Trailer announces what the copy has behind the body anyway.
var hopByHop = []string{"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// beginReply is the front of a reply, up to where the body begins.
func beginReply(status int, h http.Header) []byte {
	b := make([]byte, replyHeadAt, 1024)
	b[0], b[1] = stateReply, replyVersion
	binary.BigEndian.PutUint16(b[statusAt:], uint16(status))
	drop := hopByHop
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			drop = append(slices.Clip(drop), textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)))
		}
	}
	return appendPairs(b, h, func(name string) string {
		if slices.Contains(drop, name) || strings.HasPrefix(name, http.TrailerPrefix) {
			return ""
		}
		return name
	})
}

// endReply puts the trailer behind the body, which began at front, and the body's length
// in its place. The trailer is what the handler announced before the body, and what it
// has with http.TrailerPrefix now.
func endReply(b []byte, front int, h http.Header) []byte {
	binary.BigEndian.PutUint32(b[lengthAt:], uint32(len(b)-front))
	var announced []string
	for _, line := range h["Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			announced = append(announced, textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)))
		}
	}
	return appendPairs(b, h, func(name string) string {
		if plain, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			return plain
		}
		if slices.Contains(announced, name) {
			return name
		}
		return ""
	})
}

// appendPairs writes the pairs of a header that named gives a name.
func appendPairs(b []byte, h http.Header, named func(string) string) []byte {
	n := 0
	for name, values := range h {
		if named(name) != "" {
			n += len(values)
		}
	}
	b = binary.AppendUvarint(b, uint64(n))
	for name, values := range h {
		if name = named(name); name == "" {
			continue
		}
		for _, v := range values {
			b = appendText(appendText(b, name), v)
		}
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// reply is an answer that can be given again.
type reply struct {
	status  int
	header  http.Header
	body    []byte
	trailer http.Header
}

// parseReply reads a stored reply; false for anything else. The body shares b's bytes.
func parseReply(b []byte) (p reply, ok bool) {
	if len(b) < replyHeadAt || b[0] != stateReply || b[1] != replyVersion {
		return p, false
	}
	size := uint64(binary.BigEndian.Uint32(b[lengthAt:]))
	p.status = int(binary.BigEndian.Uint16(b[statusAt:]))
	rest := b[replyHeadAt:]
	if p.header, rest, ok = cutPairs(rest); !ok || size > uint64(len(rest)) || p.status < 200 || p.status > 999 {
		return reply{}, false
	}
	p.body, rest = rest[:size], rest[size:]
	p.trailer, rest, ok = cutPairs(rest)
	return p, ok && len(rest) == 0
}

func cutPairs(b []byte) (h http.Header, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)) { // each pair has two bytes at least
		return nil, nil, false
	}
	h, b = make(http.Header, min(n, 64)), b[size:]
	for range n {
		var name, value string
		if name, b, ok = cutText(b); !ok {
			return nil, nil, false
		}
		if value, b, ok = cutText(b); !ok {
			return nil, nil, false
		}
		h[name] = append(h[name], value)
	}
	return h, b, true
}

func cutText(b []byte) (s string, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return "", nil, false
	}
	b = b[size:]
	return string(b[:n]), b[n:], true
}

// write gives the answer again. `Idempotent-Replayed: true` tells it from the first one,
// as at Stripe (docs.stripe.com/error-low-level).
func (p reply) write(w http.ResponseWriter) {
	h := w.Header()
	clear(h) // what the first answer lacks was taken away behind the guard
	for name, values := range p.header {
		h[name] = values
	}
	h["Idempotent-Replayed"] = []string{"true"}
	for name, values := range p.trailer {
		h[http.TrailerPrefix+name] = values
	}
	w.WriteHeader(p.status)
	if len(p.body) > 0 {
		_, _ = w.Write(p.body) // a client that went away asks again
	}
}

// fresh is the value of a token that nobody has used.
var fresh = []byte{stateFresh}

func isFresh(value []byte) bool { return bytes.Equal(value, fresh) }
