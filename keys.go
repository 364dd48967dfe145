package flashgate

import (
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"strings"
	"sync"
	"time"
)

// Keyring holds the signing keys of a moment, newest first. The first signs, all verify. It
// is safe for concurrent use.
type Keyring struct{ keys []signingKey }

type signingKey struct {
	id   [keyIDSize]byte
	macs *sync.Pool // of *hasher
}

// Keys gives the keys that hold now. They may be others a second later, so whoever has
// something to verify asks again.
type Keys interface{ Keyring() *Keyring }

// Keyring makes a Keyring that never changes the Keys of whoever needs no rotation.
func (k *Keyring) Keyring() *Keyring { return k }

// NewKey makes a signing key: 32 random bytes, base64url, 43 characters.
func NewKey() string {
	var b [32]byte
	rand.Read(b[:])
	return strict.EncodeToString(b[:])
}

// ParseKeyring reads keys as ParseKeySchedule does and gives those that hold now.
func ParseKeyring(text string) (*Keyring, error) {
	s, err := ParseKeySchedule(text)
	if err != nil {
		return nil, err
	}
	return s.At(time.Now()), nil
}

// KeySchedule says which signing keys hold when. It is immutable.
type KeySchedule struct{ keys []ScheduledKey }

// ScheduledKey is one of them.
type ScheduledKey struct {
	From  time.Time // it signs from then; zero: always. It verifies before, too.
	Until time.Time // from then it neither signs nor verifies; zero: it has no end

	text string
	key  signingKey
}

// ParseKeySchedule reads signing keys, newest first, separated by commas or white space; in
// a line, what follows a # is a comment. Each is the base64url of 32 bytes, as NewKey makes
// them, and may be followed by when it begins to sign and when it ends, in RFC 3339:
//
//	<key>;from=2026-11-25T20:00:00Z <key>;until=2026-12-02T20:00:00Z
//
// One key at least must have no end. The key id is derived from the key, so the order may
// change and keys may come and go. Errors name a key by its number and never show it.
func ParseKeySchedule(text string) (*KeySchedule, error) {
	const op = "flashgate.ParseKeySchedule"
	var fields []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		fields = append(fields, strings.FieldsFunc(line, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == '\t' })...)
	}
	if len(fields) == 0 {
		return nil, Invalid(op, "keys", "must hold at least one key; make one with: caddy flashgate sign key")
	}
	s := &KeySchedule{}
	endless := false
	for i, f := range fields {
		parts := strings.Split(f, ";")
		k := ScheduledKey{text: parts[0]}
		secret, err := strict.DecodeString(parts[0])
		if err != nil || len(secret) != 32 {
			return nil, Invalid(op, "keys", "key %d is not the base64url of 32 bytes; make one with: caddy flashgate sign key", i+1)
		}
		sum := sha256.Sum256(append([]byte("flashgate key id\x00"), secret...))
		k.key.macs = newHashers(secret)
		copy(k.key.id[:], sum[:])
		for _, part := range parts[1:] {
			if err := k.parse(part); err != nil {
				return nil, Invalid(op, "keys", "key %d: %s", i+1, err.Message)
			}
		}
		if !k.Until.IsZero() && !k.From.Before(k.Until) {
			return nil, Invalid(op, "keys", "key %d ends before it begins", i+1)
		}
		if slices.ContainsFunc(s.keys, func(o ScheduledKey) bool { return o.key.id == k.key.id }) {
			return nil, Invalid(op, "keys", "key %d is there twice", i+1)
		}
		endless = endless || k.Until.IsZero()
		s.keys = append(s.keys, k)
	}
	if !endless {
		return nil, Invalid(op, "keys", "must hold a key without ;until=, or one day none is left; make one with: caddy flashgate sign key")
	}
	return s, nil
}

// parse reads from=… or until=….
func (k *ScheduledKey) parse(part string) *Error {
	const op = "flashgate.ParseKeySchedule"
	name, value, _ := strings.Cut(part, "=")
	at, err := time.Parse(time.RFC3339, value)
	switch {
	case name != "from" && name != "until":
		return Invalid(op, "keys", "what follows a key is ;from= or ;until= and a time")
	case err != nil || at.IsZero():
		return Invalid(op, "keys", "%s needs a time such as %s=2026-11-25T20:00:00Z", name, name)
	case name == "from" && k.From.IsZero():
		k.From = at
	case name == "until" && k.Until.IsZero():
		k.Until = at
	default:
		return Invalid(op, "keys", "%s is there twice", name)
	}
	return nil
}

// At is the keyring of a moment. The first key that has begun and has not ended signs; if
// there is none, the one without an end that begins first. All that have not ended verify,
// also those that have not begun: so a key that is known everywhere before it begins is
// believed everywhere from its first signature on.
func (s *KeySchedule) At(now time.Time) *Keyring {
	first := slices.IndexFunc(s.keys, func(k ScheduledKey) bool { return !now.Before(k.From) && !k.ended(now) })
	if first < 0 {
		for i, k := range s.keys {
			if k.Until.IsZero() && (first < 0 || k.From.Before(s.keys[first].From)) {
				first = i
			}
		}
	}
	ring := &Keyring{keys: []signingKey{s.keys[first].key}}
	for i, k := range s.keys {
		if i != first && !k.ended(now) {
			ring.keys = append(ring.keys, k.key)
		}
	}
	return ring
}

func (k *ScheduledKey) ended(now time.Time) bool { return !k.Until.IsZero() && !now.Before(k.Until) }

// Keys are those of the schedule, in its order.
func (s *KeySchedule) Keys() []ScheduledKey { return slices.Clone(s.keys) }

// Text is the key in a schedule. It is the secret itself.
func (k ScheduledKey) Text() string {
	text := k.text
	if !k.From.IsZero() {
		text += ";from=" + k.From.Format(time.RFC3339Nano)
	}
	if !k.Until.IsZero() {
		text += ";until=" + k.Until.Format(time.RFC3339Nano)
	}
	return text
}

// Rotate puts a new key in front, which begins to sign at from, and gives every key that has
// no end one: until. Keys that are over at now are left out. It is refused, CodeWrongState,
// while an earlier new key has not begun.
func (s *KeySchedule) Rotate(key string, now, from, until time.Time) (*KeySchedule, error) {
	const op = "flashgate.Rotate"
	next := []string{ScheduledKey{text: key, From: from}.Text()}
	for _, k := range s.keys {
		switch {
		case k.ended(now):
			continue
		case now.Before(k.From):
			return nil, Errorf(CodeWrongState, op, "a new key is there already and begins to sign at %s: wait until then", k.From.UTC().Format(time.RFC3339))
		case k.Until.IsZero():
			k.Until = until
		}
		next = append(next, k.Text())
	}
	return ParseKeySchedule(strings.Join(next, "\n"))
}
