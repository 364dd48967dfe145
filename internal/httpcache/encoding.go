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
	formatVersion = 2
	kindPage      = 1 // an answer
	kindVariants  = 2 // in place of an answer: in which fields requests must agree
)

// The flags of an answer.
const (
	flagShared = 1 << iota
	flagStrict
	flagTagged
	flagPart
	flagsEnd
)

// errForm means that the bytes are not ours, or of another version: a miss.
var errForm = errors.New("httpcache: not a stored page")

// encode writes: version, kind, flags, born, lifetime, swr and sie in milliseconds,
// source, status, of partial content its first byte and the length of the whole, the header
// sorted by name, the body. Numbers are varints, texts have their length in front.
func (e *entry) encode() []byte {
	size := 96 + len(e.body)
	for name, values := range e.header {
		size += len(name) + 4
		for _, v := range values {
			size += len(v) + 3
		}
	}
	var flags byte
	for flag, set := range map[byte]bool{flagShared: e.shared, flagStrict: e.strict, flagTagged: e.tagged, flagPart: e.part.partial()} {
		if set {
			flags |= flag
		}
	}
	b := append(make([]byte, 0, size), formatVersion, kindPage, flags)
	b = binary.AppendVarint(b, e.born.UnixMilli())
	for _, t := range []time.Duration{e.lifetime, e.swr, e.sie} {
		b = binary.AppendUvarint(b, uint64(t.Milliseconds()))
	}
	b = appendText(b, e.source)
	b = binary.AppendUvarint(b, uint64(e.status))
	if e.part.partial() {
		b = binary.AppendUvarint(b, uint64(e.part.first))
		b = binary.AppendUvarint(b, uint64(e.part.size))
	}
	b = binary.AppendUvarint(b, uint64(len(e.header)))
	for _, name := range slices.Sorted(maps.Keys(e.header)) {
		b = appendText(b, name)
		b = appendTexts(b, e.header[name])
	}
	return append(binary.AppendUvarint(b, uint64(len(e.body))), e.body...)
}

func (v *variants) encode() []byte {
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

// decode reads *entry or *variants. The entry's body is part of b.
func decode(b []byte) (any, error) {
	if len(b) < 2 || b[0] != formatVersion {
		return nil, errForm
	}
	d := decoder{rest: b[2:]}
	var form any
	switch b[1] {
	case kindPage:
		e := d.entry()
		if !d.bad {
			e.lay()
		}
		form = e
	case kindVariants:
		form = &variants{generation: d.number(), names: d.texts()}
	default:
		return nil, errForm
	}
	if d.bad || len(d.rest) > 0 {
		return nil, errForm
	}
	return form, nil
}

// decoder reads from the front of rest and goes bad at the first thing that cannot
// be. It takes no more memory than a few times what it reads.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) entry() *entry {
	e := new(entry)
	if len(d.rest) == 0 || d.rest[0] >= flagsEnd {
		d.bad = true
		return e
	}
	flags := d.rest[0]
	e.shared, e.strict, e.tagged = flags&flagShared != 0, flags&flagStrict != 0, flags&flagTagged != 0
	born, n := binary.Varint(d.rest[1:])
	if n <= 0 {
		d.bad = true
		return e
	}
	d.rest = d.rest[1+n:]
	e.born = time.UnixMilli(born)
	e.lifetime, e.swr, e.sie = d.span(), d.span(), d.span()
	e.source = string(d.text())
	e.status = int(d.below(1000))
	if flags&flagPart != 0 {
		e.part = span{int64(d.below(maxSize)), int64(d.below(maxSize))}
	}
	fields := d.below(uint64(len(d.rest)) + 1)
	e.header = make(http.Header, min(fields, 64))
	for ; fields > 0 && !d.bad; fields-- {
		name := string(d.text())
		e.header[name] = d.texts()
	}
	e.body = d.text()
	if flags&flagPart != 0 && (!e.part.partial() || e.part.first+int64(len(e.body)) > e.part.size) {
		d.bad = true
	}
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
