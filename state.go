package flashgate

import (
	"context"
	"time"
)

// Rate is so many in so long: the annotation of an access limit.
type Rate struct {
	Limit  int           // 1 to 1,000,000
	Window time.Duration // 1 ms to 24 h
}

// Validate checks the ranges.
func (r Rate) Validate() error {
	if r.Limit < 1 || r.Limit > 1_000_000 {
		return Invalid("flashgate.Rate", "limit", "must be between 1 and 1000000")
	}
	if r.Window < time.Millisecond || r.Window > 24*time.Hour {
		return Invalid("flashgate.Rate", "window", "must be between 1ms and 24h")
	}
	return nil
}

// Verdict is a limiter's answer.
type Verdict struct {
	Allowed    bool
	Remaining  int           // requests that would still pass now
	RetryAfter time.Duration // when the next may pass; zero when Allowed
}

// Limiter counts requests. Each decision is one atomic step: of any number of
// concurrent calls no more pass than the rate allows, and the counter always has
// an end of life.
type Limiter interface {
	// Allow counts one request of a key, if it passes: a refused one costs nothing.
	// CodeUnavailable when the store is away.
	Allow(ctx context.Context, key string, r Rate) (Verdict, error)
	// Reset forgets a key. Idempotent.
	Reset(ctx context.Context, key string) error
}

// OneTime keeps values that can be taken exactly once.
type OneTime interface {
	// Put writes a value and replaces an older one. ttl is positive.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Take removes the value and returns it, in one atomic step: of any number of
	// concurrent calls one gets it. False when there is none or it is over. After a
	// time-out it is taken or not: treat it as taken.
	Take(ctx context.Context, key string) (value []byte, ok bool, err error)
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
