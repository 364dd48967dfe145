package pagestore_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/pagestore"
)

func TestBadConfig(t *testing.T) {
	t.Parallel()
	for _, n := range []int64{-1, 1, 1<<20 - 1, 1<<40 + 1} {
		if _, err := pagestore.New(pagestore.Config{MaxBytes: n}); flashgate.ErrorCode(err) != flashgate.CodeInvalid {
			t.Errorf("MaxBytes %d: %v", n, err)
		}
	}
}

func TestInMemory(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := open(t, pagestore.Config{MaxBytes: 1 << 20, Now: func() time.Time { return now }})
	ctx := t.Context()
	if has(t, s, url) {
		t.Error("an empty store has a page")
	}
	p := fetched(s, url)
	s.Set(ctx, p)
	if got, soft := s.Get(ctx, url); got != p || soft {
		t.Errorf("%v, %t", got, soft)
	}
	now = p.Ends.Add(-time.Nanosecond)
	if !has(t, s, url) {
		t.Error("it ended early")
	}
	now = p.Ends
	if has(t, s, url) {
		t.Error("it is there after its end")
	}
	now = time.Now()
	s.Set(ctx, fetched(s, url))
	s.Invalidate(ctx, url)
	s.Invalidate(ctx, url)
	if has(t, s, url) {
		t.Error("it is there after Invalidate")
	}
	// A page too large for the memory takes the one before it along.
	s.Set(ctx, fetched(s, url))
	large := fetched(s, url)
	large.Data = make([]byte, 1<<17)
	s.Set(ctx, large)
	if p, _ := s.Get(ctx, url); p != nil {
		t.Errorf("there is a page of %d bytes", len(p.Data))
	}
}

// A purge meets what was fetched before it, also what is on its way, and nothing after.
func TestPurge(t *testing.T) {
	t.Parallel()
	for _, p := range []flashgate.Purge{
		{Kind: flashgate.PurgeURL, Value: url}, {Kind: flashgate.PurgePrefix, Value: "https://shop.example/"},
		{Kind: flashgate.PurgeTag, Value: "goods"}, {Kind: flashgate.PurgeAll},
	} {
		for _, soft := range []bool{false, true} {
			p.Soft = soft
			s := open(t, pagestore.Config{})
			ctx := t.Context()
			s.Set(ctx, fetched(s, url, "goods"))
			late := fetched(s, url, "goods")
			if err := s.Purge(ctx, p); err != nil {
				t.Fatal(err)
			}
			if got, stale := s.Get(ctx, url); (got != nil) != soft || stale != soft {
				t.Errorf("%+v: there %t, stale %t", p, got != nil, stale)
			}
			s.Set(ctx, late)
			if got, stale := s.Get(ctx, url); (got != nil) != soft || stale != soft {
				t.Errorf("%+v, on its way: there %t, stale %t", p, got != nil, stale)
			}
			s.Set(ctx, fetched(s, url, "goods"))
			if got, stale := s.Get(ctx, url); got == nil || stale {
				t.Errorf("%+v, fetched after it: there %t, stale %t", p, got != nil, stale)
			}
		}
	}
	s := open(t, pagestore.Config{})
	if err := s.Purge(t.Context(), flashgate.Purge{Kind: "x"}); flashgate.ErrorCode(err) != flashgate.CodeInvalid {
		t.Errorf("%v", err)
	}
}

// What is purged gives its memory back without being asked for.
func TestPurgeFreesMemory(t *testing.T) {
	t.Parallel()
	s := open(t, pagestore.Config{})
	for i := range 100 {
		s.Set(t.Context(), fetched(s, fmt.Sprint("https://shop.example/a/", i)))
	}
	s.Set(t.Context(), fetched(s, url))
	purge(t, s, flashgate.PurgePrefix, "https://shop.example/a/")
	eventually(t, "only one page is left", func() bool { return s.Stats().Pages == 1 })
	if !has(t, s, url) {
		t.Error("it took another one's page")
	}
}

// 100,000 distinct pages of 10 KB go through a cache of 256 MB: what they cost stays
// within a fifth of the bound, and what is asked for again and again stays.
func TestMemoryIsBounded(t *testing.T) {
	const bound = 256 << 20
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	s := open(t, pagestore.Config{MaxBytes: bound})
	for i := range 100_000 {
		p := fetched(s, fmt.Sprint("https://shop.example/goods/", i))
		p.Data = make([]byte, 10<<10)
		s.Set(t.Context(), p)
		if i%10 == 0 {
			for j := range 10 {
				s.Get(t.Context(), fmt.Sprint("https://shop.example/goods/", j))
			}
		}
	}
	used := heap() - before
	stats := s.Stats()
	t.Logf("%d pages, %d bytes by the cache's count, %d of the heap; the bound is %d", stats.Pages, stats.Bytes, used, bound)
	if used > bound*12/10 || stats.Bytes > bound || stats.Bytes < bound*8/10 || stats.Evictions == 0 {
		t.Errorf("%+v; %d bytes of the heap, want at most %d", stats, used, bound*12/10)
	}
	hot := 0
	for j := range 10 {
		if p, _ := s.Get(t.Context(), fmt.Sprint("https://shop.example/goods/", j)); p != nil {
			hot++
		}
	}
	if hot < 8 {
		t.Errorf("of ten pages that were asked for all the time %d are left", hot)
	}
}

// Resize makes room at once.
func TestResize(t *testing.T) {
	t.Parallel()
	s := open(t, pagestore.Config{MaxBytes: 8 << 20})
	for i := range 500 {
		p := fetched(s, fmt.Sprint("https://shop.example/", i))
		p.Data = make([]byte, 10<<10)
		s.Set(t.Context(), p)
	}
	if err := s.Resize(1 << 20); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is as small as it should be", func() bool { return s.Stats().Bytes <= 1<<20 })
	if stats := s.Stats(); stats.MaxBytes != 1<<20 || stats.Pages == 0 {
		t.Errorf("%+v", stats)
	}
	if err := s.Resize(1); flashgate.ErrorCode(err) != flashgate.CodeInvalid {
		t.Errorf("%v", err)
	}
}
