package captcha

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	crand "crypto/rand"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/internal/challenge"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// PoW asks the visitor's computer for a proof of work, for visitors who can neither see
// nor hear. It costs a bot the same, so it slows down and does not keep out.
//
// The challenge is signed and nothing of it is stored; a proof counts once on all
// gateways.
type PoW struct {
	// Zero bits that the hash of a proof begins with, in quiet times and at most: 1 to 32.
	// Each bit doubles the work; a browser does a million hashes a second or so.
	// Default: 16 and 22. A second with 20 challenges and more takes one bit more for
	// each doubling.
	MinBits int `json:"min_bits,omitempty"`
	MaxBits int `json:"max_bits,omitempty"`

	difficulty *challenge.Difficulty
}

const (
	minBits, maxBits = 16, 22
	mostBits         = 32
	easyProofs       = 20 // challenges a second
)

// CaddyModule returns the Caddy module information.
func (*PoW) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "flashgate.captcha.pow", New: func() caddy.Module { return new(PoW) }}
}

// Provision fills in the defaults.
func (p *PoW) Provision(caddy.Context) error {
	if p.MinBits == 0 {
		p.MinBits = minBits
	}
	if p.MaxBits == 0 {
		p.MaxBits = max(maxBits, p.MinBits)
	}
	p.difficulty = &challenge.Difficulty{Min: p.MinBits, Max: p.MaxBits, Easy: easyProofs}
	return p.Validate()
}

// Validate checks the ranges.
func (p *PoW) Validate() error {
	if p.MinBits < 0 || p.MaxBits < 0 || p.MinBits > mostBits || p.MaxBits > mostBits || p.MaxBits != 0 && p.MinBits > p.MaxBits {
		return errors.New("pow needs 1 to 32 bits, the least first, such as: bits 16 22")
	}
	return nil
}

// parseBits reads <least> <most>.
func (p *PoW) parseBits(d *caddyfile.Dispenser) error {
	const example = "pow needs 1 to 32 bits, the least first, such as: bits 16 22"
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Err(example)
	}
	least, err1 := strconv.Atoi(args[0])
	most, err2 := strconv.Atoi(args[1])
	p.MinBits, p.MaxBits = least, most
	if errors.Join(err1, err2) != nil || least < 1 || most < 1 || p.Validate() != nil {
		return d.Err(example)
	}
	return nil
}

// proofPurpose keeps these stamps from counting for anything else.
const proofPurpose = "captcha proof of work"

// work is what a visitor is asked for: number so that SHA-256(challenge + "." + number)
// begins with so many zero bits; the answer is challenge + "." + number.
type work struct {
	Challenge string `json:"challenge"`
	Bits      int    `json:"bits"`
	ExpiresIn int64  `json:"expires_in"` // seconds
}

// ask makes a challenge for a visitor and a scope: bits, a nonce, and the site's word that
// it said so.
func (h *Handler) askProof(w http.ResponseWriter, r *http.Request, scope string) error {
	keys, err := h.app.Keyring()
	if err != nil {
		return h.refuse(w, r, err)
	}
	ttl := time.Duration(h.TTL)
	zeroBits := h.pow.difficulty.Next()
	head := strconv.Itoa(zeroBits) + "." + crand.Text()
	c := work{Challenge: head + "." + keys.Stamp(proofPurpose, time.Now().Add(ttl), head, h.visitor(w, r), scope), Bits: zeroBits, ExpiresIn: int64(ttl / time.Second)}
	app.CountDecision(op, "served")
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if h.knowsKey(r) {
		header.Set("Captcha-Answer", c.Challenge+"."+challenge.Prove(c.Challenge, zeroBits))
	}
	_ = json.NewEncoder(w).Encode(c) // a client that went away is its own business
	return nil
}

// proved judges an answer: the challenge is ours, for this visitor and scope, in time, the
// number proves it, and it is used for the first time, on all gateways. Counting uses is
// what limits are for: one in the time that the challenge lives.
func (h *Handler) proved(r *http.Request, visitor, scope, given string) (ok bool, err error) {
	given = strings.TrimSpace(given)
	parts := strings.Split(given, ".")
	if len(parts) != 4 {
		return false, nil
	}
	keys, err := h.app.Keyring()
	if err != nil {
		return false, err
	}
	head := parts[0] + "." + parts[1]
	if _, ours := keys.OpenStamp(parts[2], proofPurpose, time.Now(), head, visitor, scope); !ours {
		return false, nil
	}
	zeroBits, err := strconv.Atoi(parts[0])
	if err != nil || !challenge.Proves(head+"."+parts[2], parts[3], zeroBits) {
		return false, nil
	}
	once := flashgate.Rate{Limit: 1, Window: time.Duration(h.TTL), Algorithm: flashgate.FixedWindow}
	verdict, err := flashgate.Allow(r.Context(), h.app.Limiter(), "captcha proof/"+parts[1], once)
	return verdict.Allowed, err
}

// Interface guards.
var (
	_ caddy.Provisioner = (*PoW)(nil)
	_ caddy.Validator   = (*PoW)(nil)
)
