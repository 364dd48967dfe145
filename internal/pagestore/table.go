package pagestore

import (
	"strings"

	"flashgate"
)

// Bounds of what a table knows by name. Past them the oldest purges are taken for purges
// of everything that had been seen before: too much goes, never too little.
const (
	maxPurges   = 10_000
	maxPrefixes = 256 // each is compared with every page that is found
)

// table are the purges that a gateway knows, by number.
type table struct {
	last     uint64 // the newest
	floor    uint64 // pages that have seen less are dead
	allSoft  uint64 // the newest soft purge of everything
	urls     map[string]mark
	tags     map[string]mark
	prefixes []prefix // oldest first
	order    []named  // of urls and tags, oldest first
}

// mark are the newest purges of a name.
type mark struct{ hard, soft uint64 }

type prefix struct {
	text string
	n    uint64
	soft bool
}

type named struct {
	kind flashgate.PurgeKind
	name string
	n    uint64
}

// apply adds the purge with a number, the newest.
func (t *table) apply(p flashgate.Purge, n uint64) {
	t.last = n
	switch p.Kind {
	case flashgate.PurgeAll:
		if p.Soft {
			t.allSoft = n
		} else {
			t.reset(n)
		}
	case flashgate.PurgePrefix:
		t.prefixes = append(t.prefixes, prefix{p.Value, n, p.Soft})
		if len(t.prefixes) > maxPrefixes {
			t.fold(t.prefixes[0].n)
		}
	default:
		t.note(p, n)
	}
}

func (t *table) note(p flashgate.Purge, n uint64) {
	marks := t.marks(p.Kind)
	m := marks[p.Value]
	if p.Soft {
		m.soft = n
	} else {
		m.hard = n
	}
	marks[p.Value] = m
	t.order = append(t.order, named{p.Kind, p.Value, n})
	if len(t.order) > maxPurges {
		t.fold(t.order[len(t.order)-maxPurges*3/4].n) // by many at once, as each costs all old pages
	}
}

func (t *table) marks(kind flashgate.PurgeKind) map[string]mark {
	if t.urls == nil {
		t.urls, t.tags = map[string]mark{}, map[string]mark{}
	}
	if kind == flashgate.PurgeTag {
		return t.tags
	}
	return t.urls
}

// reset makes everything up to a number dead.
func (t *table) reset(n uint64) {
	*t = table{last: max(t.last, n), floor: n}
}

// fold makes all purges up to a number ones of everything.
func (t *table) fold(n uint64) {
	t.floor = max(t.floor, n)
	for len(t.order) > 0 && t.order[0].n <= n {
		o := t.order[0]
		t.order = t.order[1:]
		if marks := t.marks(o.kind); max(marks[o.name].hard, marks[o.name].soft) <= n {
			delete(marks, o.name)
		}
	}
	for len(t.prefixes) > 0 && t.prefixes[0].n <= n {
		t.prefixes = t.prefixes[1:]
	}
}

// judge says whether a page is dead, or stale as of now.
func (t *table) judge(p *flashgate.Page) (dead, soft bool) {
	if p.Seen >= t.last {
		return false, false
	}
	if p.Seen < t.floor {
		return true, false
	}
	soft = t.allSoft > p.Seen
	m := t.urls[p.URL]
	if m.hard > p.Seen {
		return true, false
	}
	soft = soft || m.soft > p.Seen
	for _, tag := range p.Tags {
		m := t.tags[tag]
		if m.hard > p.Seen {
			return true, false
		}
		soft = soft || m.soft > p.Seen
	}
	for i := range t.prefixes {
		if x := &t.prefixes[i]; x.n > p.Seen && strings.HasPrefix(p.URL, x.text) {
			if !x.soft {
				return true, false
			}
			soft = true
		}
	}
	return false, soft
}
