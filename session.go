package flashgate

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"
)

// SessionToken is the secret in a visitor's cookie: 256 random bits, base64url.
// It is never stored; stores know its SessionKey.
type SessionToken string

// SessionKey is the SHA-256 of a SessionToken, in hexadecimal. It may be logged.
type SessionKey string

// NewSessionToken draws a token from crypto/rand.
func NewSessionToken() SessionToken {
	var b [32]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return SessionToken(base64.RawURLEncoding.EncodeToString(b[:]))
}

// Key hashes the token. Every string has a key, so a made-up token costs the same
// as a real one.
func (t SessionToken) Key() SessionKey {
	sum := sha256.Sum256([]byte(t))
	return SessionKey(hex.EncodeToString(sum[:]))
}

// Session is one login.
type Session struct {
	Key     SessionKey
	User    UserID
	Role    Role
	Created time.Time
	Expires time.Time     // the absolute end
	Idle    time.Duration // it also ends when it was not used for so long
}

// SessionStore keeps sessions. Clocks are the store's own.
type SessionStore interface {
	// CreateSession writes a new session. Nil means durable.
	CreateSession(ctx context.Context, s Session) error
	// Session reads a session and counts as its use. CodeUnauthenticated when there
	// is none, or it is over; CodeUnavailable when the store is away. A use may be
	// recorded up to a tenth of Idle late, never early.
	Session(ctx context.Context, key SessionKey) (Session, error)
	// DeleteSession ends a session at once, for every reader. Idempotent.
	DeleteSession(ctx context.Context, key SessionKey) error
	// DeleteSessionsOf ends all sessions of a user. Idempotent.
	DeleteSessionsOf(ctx context.Context, user UserID) error
}
