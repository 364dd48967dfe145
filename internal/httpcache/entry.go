package httpcache

import (
	"encoding/binary"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"
)

// The stored forms. The first byte is the version, so that a store which outlives
// the program never has its pages misread; the second one is the kind.
const (
	formatVersion = 1
	kindPage      = 1 // an answer
	kindVariants  = 2 // in place of an answer: in which fields requests must agree
)

// errForm means that the bytes are not ours, or of another version: a miss.
var errForm = errors.New("httpcache: not a stored page")

// entry is a stored answer. It is never changed once it is there.
type entry struct {
	born     time.Time // when its age was zero, in milliseconds
	lifetime time.Duration
	swr      time.Duration
	shared   bool
	status   int
	header   http.Header
	body     []byte
}

// age is current_age of RFC 9111, section 4.2.3.
func (e *entry) age(now time.Time) time.Duration { return max(now.Sub(e.born), 0) }

// keep is how long the store should keep it from now on.
func (e *entry) keep(now time.Time) time.Duration { return e.lifetime + e.swr - e.age(now) }

// variants is stored under a URI whose answers vary. Generation is part of the keys
// of its pages: a new one leaves all the old pages behind.
type variants struct {
	generation uint64
	names      []string
}

// encode writes: version, kind, flags, born, lifetime and swr in milliseconds,
// status, the header sorted by name, the body. Numbers are varints, texts have their
// length in front.
func (e *entry) encode() []byte {
	size := 64 + len(e.body)
	for name, values := range e.header {
		size += len(name) + 4
		for _, v := range values {
			size += len(v) + 3
		}
	}
	b := append(make([]byte, 0, size), formatVersion, kindPage, 0)
	if e.shared {
		b[2] = 1
	}
	b = binary.AppendVarint(b, e.born.UnixMilli())
	b = binary.AppendUvarint(b, uint64(e.lifetime.Milliseconds()))
	b = binary.AppendUvarint(b, uint64(e.swr.Milliseconds()))
	b = binary.AppendUvarint(b, uint64(e.status))
	b = binary.AppendUvarint(b, uint64(len(e.header)))
	for _, name := range slices.Sorted(maps.Keys(e.header)) {
		b = appendText(b, name)
		b = appendTexts(b, e.header[name])
	}
	return append(binary.AppendUvarint(b, uint64(len(e.body))), e.body...)
}

func (v variants) encode() []byte {
	b := []byte{formatVersion, kindVariants}
	b = binary.AppendUvarint(b, v.generation)
	return appendTexts(b, v.names)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendTexts(b []byte, values []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(values)))
	for _, v := range values {
		b = appendText(b, v)
	}
	return b
}

// decode reads either form. The entry's body is part of b.
func decode(b []byte) (*entry, variants, error) {
	if len(b) < 2 || b[0] != formatVersion {
		return nil, variants{}, errForm
	}
	d := decoder{rest: b[2:]}
	switch b[1] {
	case kindPage:
		e := d.entry()
		if d.bad || len(d.rest) > 0 {
			return nil, variants{}, errForm
		}
		return e, variants{}, nil
	case kindVariants:
		v := variants{generation: d.number(), names: d.texts()}
		if d.bad || len(d.rest) > 0 || len(v.names) == 0 {
			return nil, variants{}, errForm
		}
		return nil, v, nil
	}
	return nil, variants{}, errForm
}

// decoder reads from the front of rest and goes bad at the first thing that cannot
// be. It takes no more memory than a few times what it reads.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) entry() *entry {
	e := new(entry)
	if len(d.rest) == 0 || d.rest[0] > 1 {
		d.bad = true
		return e
	}
	e.shared, d.rest = d.rest[0] == 1, d.rest[1:]
	born, n := binary.Varint(d.rest)
	if n <= 0 {
		d.bad = true
		return e
	}
	d.rest = d.rest[n:]
	e.born = time.UnixMilli(born)
	e.lifetime, e.swr = d.span(), d.span()
	e.status = int(d.below(1000))
	fields := d.below(uint64(len(d.rest)) + 1)
	e.header = make(http.Header, min(fields, 64))
	for ; fields > 0 && !d.bad; fields-- {
		name := string(d.text())
		e.header[name] = d.texts()
	}
	e.body = d.text()
	return e
}

func (d *decoder) number() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 || d.bad {
		d.bad = true
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// below reads a number that must be less than limit.
func (d *decoder) below(limit uint64) uint64 {
	v := d.number()
	if v >= limit {
		d.bad = true
		return 0
	}
	return v
}

// span reads milliseconds, with room for what a lifetime of a year and an age add
// up to.
func (d *decoder) span() time.Duration {
	return time.Duration(d.below(uint64(1)<<42)) * time.Millisecond
}

func (d *decoder) text() []byte {
	n := d.below(uint64(len(d.rest)) + 1)
	if d.bad || n > uint64(len(d.rest)) {
		d.bad = true
		return nil
	}
	text := d.rest[:n:n]
	d.rest = d.rest[n:]
	return text
}

func (d *decoder) texts() []string {
	n := d.below(uint64(len(d.rest)) + 1)
	out := make([]string, 0, min(n, 16))
	for ; n > 0 && !d.bad; n-- {
		out = append(out, string(d.text()))
	}
	return out
}
