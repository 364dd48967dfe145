package flashgate

import (
	"context"
	"sync/atomic"
	"time"
)

// Page is a stored answer, or a record of what the answers of one address vary by. All
// but its form is never changed once it is stored.
type Page struct {
	Key  string   // what it is found under
	URL  string   // its address, scheme://host/path?query, that purges go by
	Tags []string // of the answer's Cache-Tag and Surrogate-Key, that purges go by
	// Seen is PageCache.Seen from before its origin was asked: purges up to there do not
	// concern it.
	Seen uint64
	// Asked is when its origin was asked, by this gateway's clock. A page that was invalidated
	// since is not kept. Zero: it is.
	Asked time.Time
	Ends  time.Time // when it may be forgotten for good
	Data  []byte

	form atomic.Pointer[any]
}

// Form is what the owner of the page made of its Data, nil when nothing yet. It lives
// as long as the page is in memory, so that a hit reads nothing again.
func (p *Page) Form() any {
	if f := p.form.Load(); f != nil {
		return *f
	}
	return nil
}

// SetForm keeps what was made of Data. Forms of the same page are equal, so it does not
// matter whose stays.
func (p *Page) SetForm(form any) { p.form.Store(&form) }

// PurgeKind is what a purge goes by.
type PurgeKind string

// The kinds of purges.
const (
	PurgeURL    PurgeKind = "url"    // one address, all its variants
	PurgePrefix PurgeKind = "prefix" // all addresses that begin so
	PurgeTag    PurgeKind = "tag"    // all pages with the tag
	PurgeAll    PurgeKind = "all"    // all pages
)

// MaxPurgeValue bounds Purge.Value: 8 KiB.
const MaxPurgeValue = 8 << 10

// Purge tells a cache to give pages up.
type Purge struct {
	Kind  PurgeKind `json:"kind"`
	Value string    `json:"value,omitempty"` // address, beginning or tag; none for PurgeAll
	// Soft makes the pages stale: they are validated before they are served, and may be
	// served stale where the origin allowed that. A hard purge takes them away.
	Soft bool `json:"soft,omitempty"`
}

// Validate checks kind and value.
func (p Purge) Validate() error {
	const op = "flashgate.Purge"
	switch p.Kind {
	case PurgeAll:
		if p.Value != "" {
			return Invalid(op, "value", "must be left out to purge everything")
		}
		return nil
	case PurgeURL, PurgePrefix, PurgeTag:
		if p.Value == "" || len(p.Value) > MaxPurgeValue {
			return Invalid(op, "value", "must be 1 to 8192 bytes")
		}
		return nil
	}
	return Invalid(op, "kind", "must be url, prefix, tag or all")
}

// PageCache is where a gateway keeps pages: bounded memory, and behind it what all
// gateways share, if there is something. It may forget anything at any time.
type PageCache interface {
	// Seen is the number of the newest purge that this gateway knows.
	Seen() uint64
	// Get finds a page that no hard purge has met; nil when there is none. soft reports
	// that a soft purge has met it. What all gateways share is asked when memory has
	// nothing; while that is away there is no page and no error.
	Get(ctx context.Context, key string) (page *Page, soft bool)
	// Set keeps a page, in memory at once, in what is shared when it gets there. A page
	// that is too large is not kept, and what was there before it is gone.
	Set(ctx context.Context, page *Page)
	// Invalidate forgets what is under a key, on all gateways as far as they can be
	// reached. Idempotent.
	Invalidate(ctx context.Context, key string)
	// Purge gives up pages, on all gateways: those that cannot be reached now will do it
	// before they serve another page from what is shared. Once it has returned without an
	// error this gateway serves none of them. CodeUnavailable: it holds on this gateway only.
	Purge(ctx context.Context, p Purge) error
}

// PurgeLog is the list of purges that all gateways share: each has a number, which only
// ever rises within a log.
type PurgeLog interface {
	// AppendPurge appends a purge and tells those who watch.
	AppendPurge(ctx context.Context, p Purge) error
	// PurgesAfter reads the purges of a log after a number. When that log is no longer
	// there, because the server has lost its data, it reads all of the one that is.
	PurgesAfter(ctx context.Context, log string, after uint64) (Purges, error)
	// WatchPurges calls purged when it has begun to listen, and for each purge since; and
	// invalidated with the key of each page that InvalidatePage has named. It returns when
	// its connection has ended, or with ctx.
	WatchPurges(ctx context.Context, purged func(), invalidated func(key string)) error
	// InvalidatePage deletes a page that all gateways share, and tells those who watch.
	InvalidatePage(ctx context.Context, key string) error
}

// Purges are those of a log from a number on.
type Purges struct {
	Log   string  // its name, another one after the server has lost its data
	After uint64  // the number before that of the first; those up to it may be unknown
	List  []Purge // numbered After+1, After+2, …
}
