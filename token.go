package flashgate

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"
)

// Sizes of the parts of ids, in bytes. 128 bits of nonce make two equal ids
// impossible in practice; 128 bits of MAC leave an online guesser no chance
// (NIST SP 800-107r1, section 5.3.3 allows truncation to 64 bits and more).
const (
	keyIDSize = 4
	nonceSize = 16
	macSize   = 16
	timeSize  = 8

	orderSize = keyIDSize + nonceSize + macSize
	pathSize  = keyIDSize + nonceSize + timeSize + macSize
)

// strict refuses the unused trailing bits that would give one id two spellings.
var strict = base64.RawURLEncoding.Strict()

// OrderID names an order: the sale, a dot, and 48 characters of base64url over
// key id, nonce and MAC(sale, user, nonce). It is known to the buyer before the
// purchase, and it is the idempotency key of everything that follows. Whoever has
// the keys can tell a minted id from a made-up one without a row.
type OrderID string

// OrderParts are the parts of an order id.
type OrderParts struct {
	Sale  SaleID
	key   [keyIDSize]byte
	nonce [nonceSize]byte
	mac   [macSize]byte
}

// ParseOrderID checks the form of an order id, not its MAC. An id that does not
// parse is CodeNotFound: it names nothing.
func ParseOrderID(s string) (OrderParts, error) {
	var p OrderParts
	sale, rest, ok := strings.Cut(s, ".")
	if !ok || len(rest) != strict.EncodedLen(orderSize) {
		return p, Errorf(CodeNotFound, "flashgate.ParseOrderID", "There is no such order.")
	}
	id, err := ParseSaleID(sale)
	if err != nil {
		return p, Errorf(CodeNotFound, "flashgate.ParseOrderID", "There is no such order.")
	}
	var raw [orderSize]byte
	if _, err := strict.Decode(raw[:], []byte(rest)); err != nil {
		return p, Errorf(CodeNotFound, "flashgate.ParseOrderID", "There is no such order.")
	}
	p.Sale = id
	copy(p.key[:], raw[:])
	copy(p.nonce[:], raw[keyIDSize:])
	copy(p.mac[:], raw[keyIDSize+nonceSize:])
	return p, nil
}

// Sale is the sale in the id, or the empty SaleID when it does not parse.
func (id OrderID) Sale() SaleID {
	p, err := ParseOrderID(string(id))
	if err != nil {
		return ""
	}
	return p.Sale
}

// find returns the key of an id. For an unknown id it returns the newest key and
// false, so that the caller spends the same time.
func (k *Keyring) find(id [keyIDSize]byte) (*signingKey, bool) {
	for i := range k.keys {
		if k.keys[i].id == id {
			return &k.keys[i], true
		}
	}
	return &k.keys[0], false
}

// Claim is what a path token stands for: it belongs to one user in one session,
// for one sale, until a moment.
type Claim struct {
	Sale    string // a SaleID, or any other scope when no order is minted
	Session string
	User    string
}

// Mint makes a path token for the claim, valid until expires (to the
// millisecond), and the order id that belongs to it. The order id is empty when
// the claim's Sale is not a sale id: a token can guard other things too.
func (k *Keyring) Mint(c Claim, expires time.Time) (path string, order OrderID) {
	var nonce [nonceSize]byte
	rand.Read(nonce[:])
	key := &k.keys[0]

	var raw [pathSize]byte
	b := append(raw[:0], key.id[:]...)
	b = append(b, nonce[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(expires.UnixMilli()))
	mac := key.pathMAC(c, b[keyIDSize:])
	b = append(b, mac[:]...)
	return strict.EncodeToString(b), key.order(c, nonce)
}

// MintOrder makes an order id alone, for where no path token stands before it.
func (k *Keyring) MintOrder(sale SaleID, user UserID) OrderID {
	var nonce [nonceSize]byte
	rand.Read(nonce[:])
	return k.keys[0].order(Claim{Sale: string(sale), User: string(user)}, nonce)
}

func (s *signingKey) pathMAC(c Claim, nonceAndExpiry []byte) [macSize]byte {
	return s.mac("flashgate path", c.Sale, c.Session, c.User, string(nonceAndExpiry))
}

func (s *signingKey) order(c Claim, nonce [nonceSize]byte) OrderID {
	sale, err := ParseSaleID(c.Sale)
	if err != nil {
		return ""
	}
	mac := s.mac("flashgate order", string(sale), c.User, string(nonce[:]))
	b := make([]byte, 0, orderSize)
	b = append(b, s.id[:]...)
	b = append(b, nonce[:]...)
	b = append(b, mac[:]...)
	return OrderID(string(sale) + "." + strict.EncodeToString(b))
}

// errPath is what Open says of a token that is no good.
var errPath = &Error{Code: CodePathInvalid, Op: "flashgate.Open", Message: "Ask for a new address and use it in time."}

// Open verifies a path token against the claim and the time. Every reason to
// refuse it gives the same CodePathInvalid, after the same work.
func (k *Keyring) Open(path string, c Claim, now time.Time) (order OrderID, expires time.Time, err error) {
	var raw [pathSize]byte
	ok := len(path) == strict.EncodedLen(pathSize)
	if ok {
		var text [2 * pathSize]byte
		_, derr := strict.Decode(raw[:], text[:copy(text[:], path)])
		ok = derr == nil
	}
	key, known := k.find([keyIDSize]byte(raw[:keyIDSize]))
	signed := raw[keyIDSize : keyIDSize+nonceSize+timeSize]
	want := key.pathMAC(c, signed)
	same := subtle.ConstantTimeCompare(want[:], raw[pathSize-macSize:]) == 1
	expires = time.UnixMilli(int64(binary.BigEndian.Uint64(signed[nonceSize:])))
	if !ok || !known || !same || !now.Before(expires) {
		return "", time.Time{}, errPath
	}
	return key.order(c, [nonceSize]byte(signed)), expires, nil
}

// VerifyOrder reports whether the id was minted for the user: CodeNotFound if
// not, whatever the reason.
func (k *Keyring) VerifyOrder(id OrderID, user UserID) error {
	p, err := ParseOrderID(string(id))
	if err != nil {
		return err
	}
	key, known := k.find(p.key)
	want := key.mac("flashgate order", string(p.Sale), string(user), string(p.nonce[:]))
	if subtle.ConstantTimeCompare(want[:], p.mac[:]) != 1 || !known {
		return Errorf(CodeNotFound, "flashgate.VerifyOrder", "There is no such order.")
	}
	return nil
}
