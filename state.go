package flashgate

import (
	"context"
	"time"
)

// Algorithm is how a limit counts.
type Algorithm string

// The algorithms. Package internal/ratelimit has their arithmetic and their bounds.
const (
	// SlidingWindow weighs the window before by the share of it that the sliding window
	// still covers. It is the default.
	SlidingWindow Algorithm = "sliding_window"
	// FixedWindow begins a window with a key's first request, and another one with the
	// first after its end.
	FixedWindow Algorithm = "fixed_window"
	// TokenBucket fills evenly, Limit tokens in a Window, up to Burst: GCRA (ITU-T I.371).
	TokenBucket Algorithm = "token_bucket"
)

// Rate is so many in so long: the annotation of an access limit.
type Rate struct {
	Limit     int           // 1 to 1,000,000
	Window    time.Duration // 1 ms to 24 h
	Algorithm Algorithm     // default SlidingWindow
	// Burst is how many may pass at once after a silence, with TokenBucket: 1 to
	// 1,000,000, default Limit.
	Burst int
}

// Validate checks the ranges.
func (r Rate) Validate() error {
	const op = "flashgate.Rate"
	if r.Limit < 1 || r.Limit > 1_000_000 {
		return Invalid(op, "limit", "must be between 1 and 1000000")
	}
	if r.Window < time.Millisecond || r.Window > 24*time.Hour {
		return Invalid(op, "window", "must be between 1ms and 24h")
	}
	switch r.Algorithm {
	case "", SlidingWindow, FixedWindow:
		if r.Burst != 0 {
			return Invalid(op, "burst", "belongs to token_bucket; leave it out")
		}
	case TokenBucket:
		if r.Burst < 0 || r.Burst > 1_000_000 {
			return Invalid(op, "burst", "must be between 1 and 1000000")
		}
	default:
		return Invalid(op, "algorithm", "must be sliding_window, fixed_window or token_bucket")
	}
	return nil
}

// AtOnce is the most that can pass at one moment: the burst of a token bucket, else the
// limit.
func (r Rate) AtOnce() int {
	if r.Algorithm == TokenBucket && r.Burst > 0 {
		return r.Burst
	}
	return r.Limit
}

// Charge is what one request takes from one limit.
type Charge struct {
	Key  string // whose; a key belongs to one limit
	Rate Rate
	Cost int // 1 to 1,000,000; 0 is 1. More than Rate.AtOnce never passes.
	// Advisory: the limit is counted and reported and refuses nobody.
	Advisory bool
	// Lease lets a store on a server take up to so many units of a busy key at once and
	// hand them out itself, for at most LeaseLife; 0 or 1: each request is asked for. Then
	// with g gateways up to g × (Lease − 1) more than the rate says may pass in a window,
	// and as many less, where a share was not used in time.
	Lease int

	// Verdict is the limit's answer: Limiter.Charge sets it.
	Verdict Verdict
}

// LeaseLife is how long a gateway may hand out what it has leased: a tenth of the window,
// at most a second.
func (r Rate) LeaseLife() time.Duration { return min(r.Window/10, time.Second) }

// Units is what the charge costs.
func (c *Charge) Units() int { return max(c.Cost, 1) }

// Validate checks the ranges.
func (c *Charge) Validate() error {
	if c.Cost < 0 || c.Cost > 1_000_000 {
		return Invalid("flashgate.Charge", "cost", "must be between 0 and 1000000")
	}
	if c.Lease < 0 || c.Lease > 10_000 {
		return Invalid("flashgate.Charge", "lease", "must be between 0 and 10000")
	}
	return c.Rate.Validate()
}

// Verdict is a limit's answer.
type Verdict struct {
	Allowed    bool          // this limit has room for the charge
	Remaining  int           // units that would still pass now
	RetryAfter time.Duration // when the charge may pass; zero when Allowed
	Reset      time.Duration // when all of the limit is there again, if nothing else comes
}

// Passed reports whether no limit refuses.
func Passed(charges []Charge) bool {
	for i := range charges {
		if !charges[i].Verdict.Allowed && !charges[i].Advisory {
			return false
		}
	}
	return true
}

// Limiter counts requests. Each decision is one atomic step: of any number of
// concurrent calls no more pass than the rates allow, and the counter always has
// an end of life.
type Limiter interface {
	// Charge takes the cost of one request from each of its limits that has room, or, if
	// one that is not advisory has none, from none of them: a refused request costs
	// nothing. It sets the verdicts. The same key must not be there twice.
	// CodeUnavailable when the store is away; then it is charged or not.
	Charge(ctx context.Context, charges []Charge) error
	// Inspect says what a charge of 1 would be told now, and charges nothing.
	Inspect(ctx context.Context, key string, r Rate) (Verdict, error)
	// Reset forgets a key. Idempotent.
	Reset(ctx context.Context, key string) error
}

// Mark is an operator's word about a key of a limit, or the limit's own after too many
// refusals: who has it is not counted.
type Mark struct {
	Key    string    `json:"key"`
	Ban    bool      `json:"ban"`   // refused; otherwise let pass
	Until  time.Time `json:"until"` // at most MaxMark ahead
	Reason string    `json:"reason,omitempty"`
}

// Bounds of marks.
const (
	MaxMark  = 366 * 24 * time.Hour // how long one may hold
	MaxMarks = 10_000               // how many there may be at once
)

// Validate checks the ranges.
func (m Mark) Validate(now time.Time) error {
	const op = "flashgate.Mark"
	switch {
	case m.Key == "" || len(m.Key) > 1024:
		return Invalid(op, "key", "must be 1 to 1024 bytes")
	case len(m.Reason) > 1024:
		return Invalid(op, "reason", "must be at most 1024 bytes")
	case !m.Until.After(now) || m.Until.After(now.Add(MaxMark)):
		return Invalid(op, "until", "must be in the future, at most 366 days ahead")
	}
	return nil
}

// Marks keeps the few keys that are banned or let pass. Gateways read all of them again
// and again, at most a second apart.
type Marks interface {
	// SetMark writes a mark and replaces an older one of the key. CodeTooLarge when there
	// are MaxMarks already.
	SetMark(ctx context.Context, m Mark) error
	// DeleteMark removes the mark of a key. Idempotent.
	DeleteMark(ctx context.Context, key string) error
	// AllMarks lists those that hold.
	AllMarks(ctx context.Context) ([]Mark, error)
}

// Allow charges one limit with one request.
func Allow(ctx context.Context, l Limiter, key string, r Rate) (Verdict, error) {
	charges := [1]Charge{{Key: key, Rate: r}}
	err := l.Charge(ctx, charges[:])
	return charges[0].Verdict, err
}

// OneTime keeps values that can be taken, or changed into something else, exactly once.
// Three verbs: Take needs not know what it takes, and CompareAndSwap leaves something
// behind that lives on.
type OneTime interface {
	// Put writes a value and replaces an older one. ttl is positive.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Take removes the value and returns it, in one atomic step: of any number of
	// concurrent calls one gets it. False when there is none or it is over. After a
	// time-out it is taken or not: treat it as taken.
	Take(ctx context.Context, key string) (value []byte, ok bool, err error)
	// CompareAndSwap writes next in the place of old, in one atomic step, and returns the
	// value that was there before; false when there was none or it was over. Any other
	// value than old stays. The end of its life does not change.
	//
	// A store may send it again when a reply is lost. Who must know whether they were the
	// one writes a next that nobody else writes, and takes a before that is next for
	// old. After a time-out it is written or not. The caller must not change before.
	CompareAndSwap(ctx context.Context, key string, old, next []byte) (before []byte, ok bool, err error)
}

// PageStore keeps cached pages. It may forget anything at any time.
type PageStore interface {
	// GetPage reads a page. The caller must not change the bytes.
	GetPage(ctx context.Context, key string) (page []byte, ok bool, err error)
	// SetPage writes a page for ttl. A page larger than the store allows is not
	// kept, without an error.
	SetPage(ctx context.Context, key string, page []byte, ttl time.Duration) error
	// DeletePage forgets a page. Idempotent.
	DeletePage(ctx context.Context, key string) error
	// ClearPages forgets all pages.
	ClearPages(ctx context.Context) error
}

// Checker is implemented by an adapter whose backend can be away.
type Checker interface {
	// Check returns nil when the backend answers. It is for readiness probes: quick,
	// and without side effects.
	Check(ctx context.Context) error
}
