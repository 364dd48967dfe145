package pagestore

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"flashgate"
)

// Bounds of the memory for pages.
const (
	DefaultMaxBytes = 64 << 20
	MinMaxBytes     = 1 << 20
	MaxMaxBytes     = 1 << 40
)

// Config of a Store.
type Config struct {
	// MaxBytes bounds the pages in memory with all that they cost: 1 MiB to 1 TiB, of
	// which one page may have an eighth. Default 64 MiB.
	MaxBytes int64
	// Shared and Log are what all gateways share. Default: nothing, both or none.
	Shared flashgate.PageStore
	Log    flashgate.PurgeLog
	// Poll is how often the log is read in case news of it is lost. Default 1 s.
	Poll time.Duration
	// Now is the clock of the pages' ends. Default time.Now.
	Now func() time.Time
	// Failed is called when what is shared has failed; nobody else is told. Default:
	// nothing.
	Failed func(what string, err error)
}

// Store is a flashgate.PageCache. It is safe for concurrent use.
type Store struct {
	cfg    Config
	memory *memory
	reads  singleflight.Group // of the shared store
	writer *writer            // nil without a shared store
	follow follower

	mu      sync.RWMutex
	table   table
	log     string             // the shared log that is followed, empty: none yet
	base    uint64             // its number zero, in this gateway's count
	pending []*flashgate.Purge // hold here, and are not in the log yet

	dropMu sync.Mutex // between it a page is dropped, or one that was read is kept
	drops  uint64     // of single pages, so that one that was read before is not kept
	recent recent     // and of which, so that one that was asked for before is not
	sweeps chan struct{}
	ended  context.Context
	end    context.CancelFunc
	done   sync.WaitGroup
	counts counts
}

// New makes an empty Store. It dials nobody: what is shared is first asked when it is
// first needed. A Config that cannot be is CodeInvalid.
func New(cfg Config) (*Store, error) {
	const op = "pagestore.New"
	bytes, err := maxBytes(cfg.MaxBytes)
	if err != nil {
		return nil, err
	}
	if (cfg.Shared == nil) != (cfg.Log == nil) {
		return nil, flashgate.Invalid(op, "log", "goes with a shared store")
	}
	if cfg.Poll <= 0 {
		cfg.Poll = time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Failed == nil {
		cfg.Failed = func(string, error) {}
	}
	s := &Store{cfg: cfg, sweeps: make(chan struct{}, 1), recent: newRecent()}
	s.ended, s.end = context.WithCancel(context.Background())
	if s.memory, err = newMemory(bytes, cfg.Now, func() { s.counts.evictions.Add(1) }); err != nil {
		return nil, err
	}
	if cfg.Shared != nil {
		s.writer = newWriter(s)
	}
	s.done.Go(s.sweep)
	return s, nil
}

func maxBytes(n int64) (int64, error) {
	if n == 0 {
		return DefaultMaxBytes, nil
	}
	if n < MinMaxBytes || n > MaxMaxBytes {
		return 0, flashgate.Invalid("pagestore", "max_bytes", "must be between 1 MiB and 1 TiB; leave it out for 64 MiB")
	}
	return n, nil
}

// Resize changes Config.MaxBytes. What is too much then goes, the least useful first.
func (s *Store) Resize(n int64) error {
	n, err := maxBytes(n)
	if err == nil {
		s.memory.bound(n)
	}
	return err
}

// Close ends what runs in the background. Pages that wait to be written are lost.
func (s *Store) Close() error {
	s.end()
	s.done.Wait()
	s.memory.pages.InvalidateAll()
	return nil
}

// Seen is the number of the newest purge that this gateway knows. The first call waits
// until what is shared was asked once.
func (s *Store) Seen() uint64 {
	s.meet(s.ended)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.table.last
}

// Get finds a page.
func (s *Store) Get(ctx context.Context, key string) (*flashgate.Page, bool) {
	if p := s.memory.get(key); p != nil {
		dead, soft := s.judge(p)
		if !dead {
			s.counts.hits.Add(1)
			return p, soft
		}
		s.memory.drop(key)
	}
	if s.cfg.Shared == nil {
		s.counts.misses.Add(1)
		return nil, false
	}
	p := s.read(ctx, key)
	if p == nil {
		s.counts.misses.Add(1)
		return nil, false
	}
	dead, soft := s.judge(p)
	if dead {
		s.counts.misses.Add(1)
		return nil, false
	}
	s.counts.sharedHits.Add(1)
	return p, soft
}

// read takes a page from what is shared into memory. Of concurrent calls one asks.
func (s *Store) read(ctx context.Context, key string) *flashgate.Page {
	s.meet(ctx)
	// Taken first: a purge that is suspended from here on is newer than what is read.
	log, base := s.position()
	if !s.current() {
		return nil
	}
	v, err, _ := s.reads.Do(key, func() (any, error) {
		drops := s.dropCount()
		b, ok, err := s.cfg.Shared.GetPage(context.WithoutCancel(ctx), key)
		if err != nil || !ok {
			return (*flashgate.Page)(nil), err
		}
		p, its, seen, err := unseal(key, b)
		if err != nil || its != log || !s.cfg.Now().Before(p.Ends) {
			return (*flashgate.Page)(nil), nil // another version's, or another log's: as good as not there
		}
		p.Seen = base + seen
		s.keepRead(p, drops)
		return p, nil
	})
	if err != nil {
		s.cfg.Failed("read", err)
		return nil
	}
	return v.(*flashgate.Page)
}

// position is which log is followed, and where it begins in this gateway's count.
func (s *Store) position() (log string, base uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.log, s.base
}

// judge says whether a page is dead, or stale as of now.
func (s *Store) judge(p *flashgate.Page) (dead, soft bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.table.judge(p)
}

// Set keeps a page.
func (s *Store) Set(ctx context.Context, p *flashgate.Page) {
	s.counts.sets.Add(1)
	if weight(p) > s.memory.most.Load() {
		s.invalidate(ctx, p.Key, p.URL) // what was there is outdated
		return
	}
	if s.keepFetched(p) && s.writer != nil {
		s.writer.add(p)
	}
}

// Invalidate forgets a page. While what is shared is away it is a purge of the address
// that the key is.
func (s *Store) Invalidate(ctx context.Context, key string) { s.invalidate(ctx, key, key) }

func (s *Store) invalidate(ctx context.Context, key, url string) {
	s.dropped(key)
	if s.writer == nil {
		return
	}
	s.writer.cancel(key)
	s.meet(ctx)
	if err := s.cfg.Log.InvalidatePage(ctx, key); err != nil {
		// It would come back with what is shared.
		s.suspend(flashgate.Purge{Kind: flashgate.PurgeURL, Value: url})
		s.cfg.Failed("invalidate", err)
	}
	s.dropped(key) // who has read it meanwhile
}

// Purge gives up pages.
func (s *Store) Purge(ctx context.Context, p flashgate.Purge) error {
	if err := p.Validate(); err != nil {
		return err
	}
	s.counts.purge(p.Kind)
	if s.cfg.Log == nil {
		s.mu.Lock()
		s.table.apply(p, s.table.last+1)
		s.mu.Unlock()
		s.wakeSweep()
		return nil
	}
	s.meet(ctx) // or nobody would try again
	err := s.cfg.Log.AppendPurge(ctx, p)
	if err == nil {
		if err = s.catchUp(ctx); err == nil {
			s.clearShared(p)
			return nil
		}
		// It is in the log, where this gateway could not read it.
		s.suspend(p)
		return nil
	}
	s.suspend(p)
	return err
}

// maxPending bounds the purges that wait for the log.
const maxPending = 1000

// suspend makes a purge hold here at once, and in the log as soon as that is to be had:
// until then nothing is taken from what is shared. It gets a number of this gateway's
// count that the log does not have, so base moves on by one. A newer one of the same takes
// the place of an older one, which may be in the log already.
func (s *Store) suspend(p flashgate.Purge) {
	s.mu.Lock()
	s.base++
	s.table.apply(p, s.table.last+1)
	s.follow.read.Store(0)
	s.pending = slices.DeleteFunc(s.pending, func(old *flashgate.Purge) bool { return *old == p })
	s.pending = append(s.pending, &p)
	if len(s.pending) > maxPending {
		s.pending = []*flashgate.Purge{{Kind: flashgate.PurgeAll}}
	}
	s.mu.Unlock()
	s.wakeSweep()
}

// clearShared frees what a purge of everything has left dead in the shared store.
func (s *Store) clearShared(p flashgate.Purge) {
	if p.Kind != flashgate.PurgeAll || p.Soft {
		return
	}
	s.done.Go(func() {
		if err := s.cfg.Shared.ClearPages(s.ended); err != nil {
			s.cfg.Failed("clear", err)
		}
	})
}

func (s *Store) wakeSweep() {
	select {
	case s.sweeps <- struct{}{}:
	default:
	}
}

// sweep frees the memory of dead pages, which nobody gets any more.
func (s *Store) sweep() {
	for {
		select {
		case <-s.sweeps:
			s.memory.dropIf(func(p *flashgate.Page) bool {
				dead, _ := s.judge(p)
				return dead
			})
		case <-s.ended.Done():
			return
		}
	}
}

var _ flashgate.PageCache = (*Store)(nil)
