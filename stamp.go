package flashgate

import (
	"crypto/subtle"
	"encoding/binary"
	"time"
)

// stampSize is what a stamp is made of: key id, expiry and MAC.
const stampSize = keyIDSize + timeSize + macSize

// Stamp proves that this site said something, until a moment (to the millisecond): 38
// characters of base64url over key id, expiry and MAC(purpose, fields, expiry). The fields
// are not in it; whoever opens it must know them. A purpose keeps the stamps of one use
// from counting for another.
func (k *Keyring) Stamp(purpose string, expires time.Time, fields ...string) string {
	key := &k.keys[0]
	var raw [stampSize]byte
	b := append(raw[:0], key.id[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(expires.UnixMilli()))
	mac := key.stampMAC(purpose, b[keyIDSize:], fields)
	return strict.EncodeToString(append(b, mac[:]...))
}

func (s *signingKey) stampMAC(purpose string, expiry []byte, fields []string) [macSize]byte {
	return s.mac("flashgate stamp", append([]string{purpose, string(expiry)}, fields...)...)
}

// OpenStamp verifies a stamp against purpose, fields and time, and says until when it
// counts. Every reason to refuse it takes the same work.
func (k *Keyring) OpenStamp(stamp, purpose string, now time.Time, fields ...string) (expires time.Time, ok bool) {
	var raw [stampSize]byte
	formed := len(stamp) == strict.EncodedLen(stampSize)
	if formed {
		_, err := strict.Decode(raw[:], []byte(stamp))
		formed = err == nil
	}
	key, known := k.find([keyIDSize]byte(raw[:keyIDSize]))
	expiry := raw[keyIDSize : keyIDSize+timeSize]
	want := key.stampMAC(purpose, expiry, fields)
	same := subtle.ConstantTimeCompare(want[:], raw[stampSize-macSize:]) == 1
	expires = time.UnixMilli(int64(binary.BigEndian.Uint64(expiry)))
	return expires, formed && known && same && now.Before(expires)
}
