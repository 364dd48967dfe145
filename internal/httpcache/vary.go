package httpcache

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// key names one variant of a URI: its generation and what the request says in the
// fields that the answer varies by (RFC 9111, section 4.1), as a hash.
func (v *variants) key(primary, extra string, h http.Header) string {
	raw, simple := v.simple(extra, h)
	if simple {
		if key, ok := v.keys.get(raw); ok {
			return key
		}
	}
	sum := sha256.New()
	b := appendText(nil, extra)
	for _, name := range v.names {
		b = appendText(b, name)
		values, ok := h[name]
		if !ok {
			b = append(b, 0) // absent is not the same as empty
		} else {
			b = appendText(append(b, 1), normal(name, values))
		}
	}
	sum.Write(binary.AppendUvarint(b, v.generation))
	key := primary + " " + base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:16])
	if simple {
		v.keys.put(raw, key)
	}
	return key
}

// simple reports that one value decides about the variant, and returns it: most pages
// vary by nothing but Accept-Encoding.
func (v *variants) simple(extra string, h http.Header) (raw string, ok bool) {
	if extra != "" || len(v.names) != 1 {
		return "", false
	}
	values := h[v.names[0]]
	if len(values) != 1 || values[0] == "" {
		return "", len(values) == 0
	}
	return values[0], len(values[0]) <= maxMemo
}

// Bounds of a memo, in bytes: clients may send what they like, and make addresses as long
// as they like.
const (
	maxMemo      = 256     // of a value
	maxMemory    = 3 << 10 // of all values and their keys
	memoOverhead = 64      // of each
)

// memo remembers the keys of values that were seen. Reading takes no lock.
type memo struct {
	mu    sync.Mutex
	bytes int
	keys  atomic.Pointer[map[string]string]
}

func (m *memo) get(raw string) (string, bool) {
	keys := m.keys.Load()
	if keys == nil {
		return "", false
	}
	key, ok := (*keys)[raw]
	return key, ok
}

func (m *memo) put(raw, key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	size := len(raw) + len(key) + memoOverhead
	if _, ok := m.get(raw); ok || m.bytes+size > maxMemory {
		return
	}
	keys := map[string]string{}
	if old := m.keys.Load(); old != nil {
		maps.Copy(keys, *old)
	}
	keys[strings.Clone(raw)] = key
	m.bytes += size
	m.keys.Store(&keys)
}

// normal makes one text of a field: lines joined, space around commas gone. What a
// client prefers, and how much, is put in order, best first (RFC 9110, section 12.5); of
// other fields nobody knows if they are lists, so an empty member stays.
func normal(name string, values []string) string {
	switch name {
	case "Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language":
		members := tokens(values)
		preferences(members)
		return strings.Join(members, ",")
	}
	members := strings.Split(strings.Join(values, ","), ",")
	for i, m := range members {
		members[i] = strings.TrimSpace(m)
	}
	return strings.Join(members, ",")
}

// spaces takes out those that mean nothing, around a semicolon. Others are left for the
// origin, which may read them as it likes.
var spaces = strings.NewReplacer(" ; ", ";", "; ", ";", " ;", ";", "\t;\t", ";", ";\t", ";", "\t;", ";")

// qvalue reports whether a weight is as RFC 9110, section 12.4.2, has it: what an origin may
// not understand makes no other text.
func qvalue(q string) bool {
	whole, rest, _ := strings.Cut(q, ".")
	return (whole == "0" || whole == "1") && len(rest) <= 3 && strings.Trim(rest, "0123456789") == "" && (whole == "0" || strings.Trim(rest, "0") == "")
}

// preferences puts members in order of their weight, then of their names, in lower case.
func preferences(members []string) {
	type weighed struct {
		text   string
		weight float64
	}
	all := make([]weighed, len(members))
	for i, m := range members {
		m = strings.ToLower(spaces.Replace(m))
		all[i] = weighed{m, 1}
		text, q, ok := strings.Cut(m, ";q=")
		if weight, err := strconv.ParseFloat(q, 64); ok && err == nil && qvalue(q) {
			all[i] = weighed{m, weight}
			if weight == 1 {
				all[i].text = text
			}
		}
	}
	slices.SortFunc(all, func(a, b weighed) int {
		if a.weight != b.weight {
			if a.weight > b.weight {
				return -1
			}
			return 1
		}
		return strings.Compare(a.text, b.text)
	})
	for i, w := range all {
		members[i] = w.text
	}
}

// agree reports whether two requests get the same variant.
func agree(names []string, a, b http.Header) bool {
	for _, name := range names {
		x, inA := a[name]
		y, inB := b[name]
		if inA != inB || normal(name, x) != normal(name, y) {
			return false
		}
	}
	return true
}

// union are the names of both lists, sorted.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// subset reports whether all of a are in b.
func subset(a, b []string) bool {
	for _, name := range a {
		if !slices.Contains(b, name) {
			return false
		}
	}
	return true
}
