package memory

import (
	"bytes"
	"context"
	"math"
	"time"

	"github.com/maypok86/otter/v2"

	"flashgate"
	"flashgate/internal/ratelimit"
)

// DefaultMaxBytes is the budget of a Store that asks for none: 64 MiB.
const DefaultMaxBytes = 64 << 20

// MinMaxBytes is the smallest budget: 1 MiB.
const MinMaxBytes = 1 << 20

// entryOverhead is about what an entry costs beside its key and value: the node of
// the cache, the headers of string and slice, its place in the table.
const entryOverhead = 160

// Config of a Store.
type Config struct {
	// MaxBytes bounds keys, values and what their entries cost: half for limits, half for
	// one-time values. Default 64 MiB, at least 1 MiB. The bound may be exceeded for a
	// moment while entries are evicted.
	MaxBytes int64
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Store keeps short-lived state. It is safe for concurrent use.
type Store struct {
	now    func() time.Time
	begin  time.Time
	limits *ratelimit.Table
	values *otter.Cache[string, entry]
	marks  marks
}

// entry is a value with the end of its life by the Store's clock. The cache's own
// expiry only frees the memory.
type entry struct {
	value []byte
	ends  time.Time
	ttl   time.Duration
}

// New makes an empty Store. A MaxBytes out of range is CodeInvalid.
func New(cfg Config) (*Store, error) {
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = DefaultMaxBytes
	}
	if cfg.MaxBytes < MinMaxBytes || cfg.MaxBytes > 1<<40 {
		return nil, flashgate.Invalid("memory.New", "max_bytes", "must be between 1 MiB and 1 TiB; leave it out for 64 MiB")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	half := uint64(cfg.MaxBytes / 2)
	values, err := newEntries(half)
	if err != nil {
		return nil, err
	}
	limits := ratelimit.NewTable(int(min(half/ratelimit.PlaceBytes, math.MaxInt32)))
	return &Store{now: cfg.Now, begin: cfg.Now(), limits: limits, values: values}, nil
}

func newEntries(weight uint64) (*otter.Cache[string, entry], error) {
	c, err := otter.New(&otter.Options[string, entry]{
		MaximumWeight:    weight,
		Weigher:          func(k string, e entry) uint32 { return uint32(len(k) + len(e.value) + entryOverhead) },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[string, entry]) time.Duration { return e.Value.ttl }),
	})
	if err != nil {
		return nil, &flashgate.Error{Code: flashgate.CodeInternal, Op: "memory.New", Err: err}
	}
	return c, nil
}

// Close frees everything.
func (s *Store) Close() error {
	s.limits.Clear()
	s.values.InvalidateAll()
	return nil
}

// Weight is what the entries weigh now, in bytes.
func (s *Store) Weight() int64 {
	s.values.CleanUp()
	return int64(s.limits.Places())*ratelimit.PlaceBytes + int64(s.values.WeightedSize())
}

// Charge decides one request in one atomic step.
func (s *Store) Charge(ctx context.Context, charges []flashgate.Charge) error {
	for i := range charges {
		if err := charges[i].Validate(); err != nil {
			return err
		}
	}
	if err := ended(ctx, "memory.Charge"); err != nil {
		return err
	}
	s.limits.Charge(charges, s.sinceBegin())
	return nil
}

// sinceBegin is the time of the limits: monotonic, and not before 1.
func (s *Store) sinceBegin() int64 { return int64(s.now().Sub(s.begin)) + 1 }

// Inspect says what a charge of 1 would be told.
func (s *Store) Inspect(ctx context.Context, key string, r flashgate.Rate) (flashgate.Verdict, error) {
	if err := r.Validate(); err != nil {
		return flashgate.Verdict{}, err
	}
	if err := ended(ctx, "memory.Inspect"); err != nil {
		return flashgate.Verdict{}, err
	}
	return s.limits.Inspect(key, r, s.sinceBegin()), nil
}

// Reset forgets a limit.
func (s *Store) Reset(ctx context.Context, key string) error {
	if err := ended(ctx, "memory.Reset"); err != nil {
		return err
	}
	s.limits.Reset(key)
	return nil
}

// Put writes a one-time value.
func (s *Store) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	const op = "memory.Put"
	if ttl <= 0 {
		return flashgate.Invalid(op, "ttl", "must be positive")
	}
	if err := ended(ctx, op); err != nil {
		return err
	}
	s.values.Set(key, s.entry(value, ttl))
	return nil
}

// Take removes a one-time value; of any number of callers one gets it.
func (s *Store) Take(ctx context.Context, key string) ([]byte, bool, error) {
	if err := ended(ctx, "memory.Take"); err != nil {
		return nil, false, err
	}
	e, ok := s.values.Invalidate(key)
	if !ok || !s.now().Before(e.ends) {
		return nil, false, nil
	}
	return e.value, true, nil
}

// CompareAndSwap writes next in the place of old and returns what was there before.
func (s *Store) CompareAndSwap(ctx context.Context, key string, old, next []byte) (before []byte, ok bool, err error) {
	if err := ended(ctx, "memory.CompareAndSwap"); err != nil {
		return nil, false, err
	}
	s.values.ComputeIfPresent(key, func(e entry) (entry, otter.ComputeOp) {
		left := e.ends.Sub(s.now())
		if left <= 0 {
			return e, otter.InvalidateOp
		}
		before, ok = e.value, true
		if !bytes.Equal(e.value, old) {
			return e, otter.CancelOp
		}
		return entry{value: bytes.Clone(next), ends: e.ends, ttl: left}, otter.WriteOp
	})
	return before, ok, nil
}

// entry copies the value: the caller may use its slice again.
func (s *Store) entry(value []byte, ttl time.Duration) entry {
	return entry{value: append([]byte(nil), value...), ends: s.now().Add(ttl), ttl: ttl}
}

func ended(ctx context.Context, op string) error {
	if ctx.Err() == nil {
		return nil
	}
	return &flashgate.Error{Code: flashgate.CodeUnavailable, Op: op, Err: context.Cause(ctx)}
}

var (
	_ flashgate.Limiter = (*Store)(nil)
	_ flashgate.Marks   = (*Store)(nil)
	_ flashgate.OneTime = (*Store)(nil)
)
