package flashgate

import (
	"crypto/sha256"
	"crypto/subtle"
)

// Signature proves that this site said something. What was said is not in it: it travels
// beside the signature, or whoever verifies knows it. Unlike the MACs of ids it is not
// cut, as what it proves may be believed for a year.
type Signature struct {
	Key [keyIDSize]byte   // says which key to try, and proves nothing
	MAC [sha256.Size]byte // HMAC-SHA-256 over the purpose and the fields
}

// Sign signs fields with the newest key. A purpose keeps the signatures of one use from
// counting for another; within one purpose the number and the order of the fields are
// fixed. What is signed is, in this order, "flashgate signature", the purpose and the
// fields, each after its length in bytes, a big-endian number of 32 bits.
func (k *Keyring) Sign(purpose string, fields ...string) Signature {
	key := &k.keys[0]
	return Signature{Key: key.id, MAC: key.signature(purpose, fields)}
}

func (s *signingKey) signature(purpose string, fields []string) [sha256.Size]byte {
	return s.sum("flashgate signature", append([]string{purpose}, fields...)...)
}

// Verify reports whether s is what Sign makes of the fields, with any of the keys. An
// unknown key takes the same work as a wrong MAC.
func (k *Keyring) Verify(s Signature, purpose string, fields ...string) bool {
	key, known := k.find(s.Key)
	want := key.signature(purpose, fields)
	return subtle.ConstantTimeCompare(want[:], s.MAC[:]) == 1 && known
}
