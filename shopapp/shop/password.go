package shop

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"flashgate"

	"golang.org/x/crypto/argon2"
)

// HashParams are the cost of argon2id (RFC 9106).
type HashParams struct {
	MemoryKiB uint32
	Time      uint32
	Threads   uint8
}

// DefaultHash is what OWASP's Password Storage Cheat Sheet recommends first: 19 MiB,
// two passes, one lane; about 22 ms of a core.
var DefaultHash = HashParams{MemoryKiB: 19 << 10, Time: 2, Threads: 1}

// TestHash is for bulk test data only: it protects nothing.
var TestHash = HashParams{MemoryKiB: 8, Time: 1, Threads: 1}

const (
	saltSize = 16
	hashSize = 32
)

// hasher caps how many passwords are hashed at once: at 19 MiB each, a crowd of
// logins would otherwise take the memory and the cores that the sale needs.
type hasher struct {
	params  HashParams
	running chan struct{}
	waiting atomic.Int64
	maxWait int64
	decoy   string // a hash of no password, for users that do not exist
	hashed  atomic.Int64
}

func newHasher(p HashParams, atOnce int) (*hasher, error) {
	if p.Time < 1 || p.Threads < 1 || p.MemoryKiB < 8*uint32(p.Threads) {
		return nil, flashgate.Invalid("shop.New", "hash", "needs at least 1 pass, 1 lane and 8 KiB a lane")
	}
	h := &hasher{params: p, running: make(chan struct{}, atOnce), maxWait: int64(atOnce) * 32}
	h.decoy = h.encode(p, h.random(), make([]byte, hashSize))
	return h, nil
}

func (h *hasher) random() []byte {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return salt
}

// enter waits for a turn. The wait is bounded in number, and by the context in time.
func (h *hasher) enter(ctx context.Context) error {
	const op = "shop.hash"
	if h.waiting.Add(1) > h.maxWait {
		h.waiting.Add(-1)
		return &flashgate.Error{Code: flashgate.CodeUnavailable, Op: op, Message: "Too many people are logging in. Try again in a moment.", RetryAfter: 2 * time.Second}
	}
	defer h.waiting.Add(-1)
	select {
	case h.running <- struct{}{}:
		h.hashed.Add(1)
		return nil
	case <-ctx.Done():
		return &flashgate.Error{Code: flashgate.CodeUnavailable, Op: op, RetryAfter: time.Second, Err: context.Cause(ctx)}
	}
}

func (h *hasher) leave() { <-h.running }

// hash makes the PHC string of a password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	salt := h.random()
	return h.encode(h.params, salt, derive(h.params, salt, password)), nil
}

func derive(p HashParams, salt []byte, password string) []byte {
	return argon2.IDKey([]byte(password), salt, p.Time, p.MemoryKiB, p.Threads, hashSize)
}

// verify reports whether the password has the hash. An empty encoded stands for a
// user who does not exist: it costs the same and is never right.
func (h *hasher) verify(ctx context.Context, encoded, password string) (bool, error) {
	exists := encoded != ""
	if !exists {
		encoded = h.decoy
	}
	p, salt, want, err := decode(encoded)
	if err != nil {
		return false, err
	}
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.leave()
	same := subtle.ConstantTimeCompare(derive(p, salt, password), want) == 1
	return same && exists, nil
}

// encode writes the PHC string format
// (github.com/P-H-C/phc-string-format, phc-sf-spec.md).
func (h *hasher) encode(p HashParams, salt, hash []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.MemoryKiB, p.Time, p.Threads, b64.EncodeToString(salt), b64.EncodeToString(hash))
}

// decode reads a PHC string as encode writes it, and refuses costs that would turn a
// damaged row into an attack.
func decode(encoded string) (p HashParams, salt, hash []byte, err error) {
	bad := func(why string) error {
		return &flashgate.Error{Code: flashgate.CodeInternal, Op: "shop.verify", Err: fmt.Errorf("the stored password hash is damaged: %s", why)}
	}
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return p, nil, nil, bad("not an argon2id PHC string")
	}
	var version int
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &p.MemoryKiB, &p.Time, &p.Threads); err != nil || version != argon2.Version {
		return p, nil, nil, bad("unknown parameters")
	}
	if p.Time < 1 || p.Time > 16 || p.Threads < 1 || p.MemoryKiB < 8 || p.MemoryKiB > 1<<20 {
		return p, nil, nil, bad("parameters out of range")
	}
	salt, serr := base64.RawStdEncoding.DecodeString(parts[4])
	hash, herr := base64.RawStdEncoding.DecodeString(parts[5])
	if serr != nil || herr != nil || len(salt) < 8 || len(hash) != hashSize {
		return p, nil, nil, bad("salt or hash do not decode")
	}
	return p, salt, hash, nil
}
