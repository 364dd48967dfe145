package pagestore_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"flashgate"
	"flashgate/internal/pagestore"
)

func page(url string, seen uint64, tags ...string) *flashgate.Page {
	return &flashgate.Page{Key: url, URL: url, Tags: tags, Seen: seen}
}

// What each kind of purge meets, and that it counts for those pages only that have not
// seen it.
func TestPurgesMeet(t *testing.T) {
	t.Parallel()
	const here = "https://shop.example/goods/1"
	for _, c := range []struct {
		kind  flashgate.PurgeKind
		value string
		met   bool
	}{
		{flashgate.PurgeURL, here, true},
		{flashgate.PurgeURL, here + "?", false},
		{flashgate.PurgeURL, "https://shop.example/goods/", false},
		{flashgate.PurgePrefix, "https://shop.example/goods/", true},
		{flashgate.PurgePrefix, "https://shop.example/go", true}, // no boundary of a path
		{flashgate.PurgePrefix, here, true},
		{flashgate.PurgePrefix, here + "1", false},
		{flashgate.PurgePrefix, "https://shop.example/Goods/", false},
		{flashgate.PurgeTag, "a", true},
		{flashgate.PurgeTag, "b", true},
		{flashgate.PurgeTag, "A", false},
		{flashgate.PurgeTag, "ab", false},
		{flashgate.PurgeAll, "", true},
	} {
		for _, soft := range []bool{false, true} {
			var table pagestore.Table
			table.Apply(flashgate.Purge{Kind: flashgate.PurgeURL, Value: "https://shop.example/other"}, 6)
			table.Apply(flashgate.Purge{Kind: c.kind, Value: c.value, Soft: soft}, 7)
			for seen, met := range map[uint64]bool{0: c.met, 5: c.met, 6: c.met, 7: false, 8: false} {
				dead, stale := table.Judge(page(here, seen, "a", "b"))
				if dead != (met && !soft) || stale != (met && soft) {
					t.Errorf("%s %q, soft %t: a page that has seen %d is dead %t, stale %t", c.kind, c.value, soft, seen, dead, stale)
				}
			}
		}
	}
}

// Whatever purges there are, a page that one of them meets is dead or stale; up to the
// bound exactly those are, and past it others may be dead, too.
func TestTableAgainstAList(t *testing.T) {
	t.Parallel()
	urls := []string{"a/1", "a/2", "ab", "b/1"}
	kinds := []flashgate.PurgeKind{flashgate.PurgeURL, flashgate.PurgePrefix, flashgate.PurgeTag, flashgate.PurgeAll}
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var table pagestore.Table
		var all []flashgate.Purge
		for n := uint64(1); n <= 40; n++ {
			p := flashgate.Purge{Kind: kinds[rnd.IntN(len(kinds))], Soft: rnd.IntN(2) == 0}
			switch p.Kind {
			case flashgate.PurgeAll:
				if rnd.IntN(4) > 0 {
					p = flashgate.Purge{Kind: flashgate.PurgeURL, Value: "c"}
				}
			default:
				p.Value = urls[rnd.IntN(len(urls))][:1+rnd.IntN(2)]
				if p.Kind == flashgate.PurgeURL {
					p.Value = urls[rnd.IntN(len(urls))]
				}
			}
			all = append(all, p)
			table.Apply(p, n)
			for _, url := range urls {
				seen := rnd.Uint64N(n + 1)
				page := page(url, seen, url[:1])
				var dead, soft bool
				for i, p := range all {
					if uint64(i+1) > seen && meets(p, page) {
						dead, soft = dead || !p.Soft, soft || p.Soft
					}
				}
				gotDead, gotSoft := table.Judge(page)
				if gotDead != dead || !dead && gotSoft != soft {
					t.Fatalf("seed %d, %d purges, %s seen %d: dead %t, stale %t, want %t, %t", seed, n, url, seen, gotDead, gotSoft, dead, soft)
				}
			}
		}
	}
}

// A flood of purges is bounded, and hides none.
func TestTableIsBounded(t *testing.T) {
	t.Parallel()
	for _, kind := range []flashgate.PurgeKind{flashgate.PurgeURL, flashgate.PurgePrefix, flashgate.PurgeTag} {
		var table pagestore.Table
		const n = 3 * pagestore.MaxPurges
		for i := uint64(1); i <= n; i++ {
			table.Apply(flashgate.Purge{Kind: kind, Value: fmt.Sprint("/", i, "/")}, i)
			if names := table.Names(); names > pagestore.MaxPurges {
				t.Fatalf("%d names are known", names)
			}
		}
		for i := uint64(1); i <= n; i += 97 {
			tag := fmt.Sprint("/", i, "/")
			if dead, _ := table.Judge(page(tag, i-1, tag)); !dead {
				t.Fatalf("the %s purge %d has been forgotten", kind, i)
			}
			if dead, _ := table.Judge(page(tag, n, tag)); dead {
				t.Fatalf("a page that has seen all is dead")
			}
		}
		if dead, _ := table.Judge(page("x", n-10)); dead {
			t.Error("of a page that has missed a few purges of others too much is asked")
		}
	}
}

// meets is the plain rule that a table is held against.
func meets(purge flashgate.Purge, p *flashgate.Page) bool {
	switch purge.Kind {
	case flashgate.PurgeURL:
		return purge.Value == p.URL
	case flashgate.PurgePrefix:
		return strings.HasPrefix(p.URL, purge.Value)
	case flashgate.PurgeTag:
		for _, tag := range p.Tags {
			if tag == purge.Value {
				return true
			}
		}
		return false
	}
	return true
}
