package flashgate

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
)

// hasher computes one MAC after the other with one key, and allocates nothing for it: a
// made-up id must not cost more than the look at it.
type hasher struct {
	hash    hash.Hash
	message []byte
	sum     [sha256.Size]byte
}

// maxMessage bounds what a hasher keeps of its message's room.
const maxMessage = 1 << 10

func newHashers(secret []byte) *sync.Pool {
	return &sync.Pool{New: func() any { return &hasher{hash: hmac.New(sha256.New, secret)} }}
}

// mac is sum, cut to macSize.
func (s *signingKey) mac(label string, fields ...string) (out [macSize]byte) {
	sum := s.sum(label, fields...)
	copy(out[:], sum[:])
	return out
}

// sum is HMAC-SHA-256 (RFC 2104) over a label and fields, each after its length. The
// label keeps the kinds of MAC apart.
func (s *signingKey) sum(label string, fields ...string) [sha256.Size]byte {
	h := s.macs.Get().(*hasher)
	message := appendField(h.message[:0], label)
	for _, f := range fields {
		message = appendField(message, f)
	}
	h.hash.Reset()
	h.hash.Write(message)
	h.hash.Sum(h.sum[:0])
	out := h.sum
	if cap(message) <= maxMessage {
		h.message = message
	}
	s.macs.Put(h)
	return out
}

func appendField(b []byte, field string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(field))), field...)
}
