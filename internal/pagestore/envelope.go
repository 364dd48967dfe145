package pagestore

import (
	"encoding/binary"
	"errors"
	"time"

	"flashgate"
)

// envelopeVersion is the first byte of what is in the shared store, so that a gateway of
// another version misreads nothing.
const envelopeVersion = 1

var errEnvelope = errors.New("pagestore: not a stored page")

// seal writes a page: version, the purge log and the number in it that the page had
// seen, its end in milliseconds, address, tags, data. Numbers are varints, texts have
// their length in front.
func seal(p *flashgate.Page, log string, seen uint64) []byte {
	b := append(make([]byte, 0, len(p.Data)+len(p.URL)+len(log)+64), envelopeVersion)
	b = text(b, log)
	b = binary.AppendUvarint(b, seen)
	b = binary.AppendVarint(b, p.Ends.UnixMilli())
	b = text(b, p.URL)
	b = binary.AppendUvarint(b, uint64(len(p.Tags)))
	for _, tag := range p.Tags {
		b = text(b, tag)
	}
	return append(b, p.Data...)
}

func text(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// unseal reads a page. Its data is part of b.
func unseal(key string, b []byte) (p *flashgate.Page, log string, seen uint64, err error) {
	if len(b) == 0 || b[0] != envelopeVersion {
		return nil, "", 0, errEnvelope
	}
	r := reader{rest: b[1:]}
	log = r.text()
	seen = r.number()
	ends, n := binary.Varint(r.rest)
	if n <= 0 {
		return nil, "", 0, errEnvelope
	}
	r.rest = r.rest[n:]
	p = &flashgate.Page{Key: key, Ends: time.UnixMilli(ends), URL: r.text()}
	for tags := r.number(); tags > 0 && !r.bad; tags-- {
		p.Tags = append(p.Tags, r.text())
	}
	if r.bad {
		return nil, "", 0, errEnvelope
	}
	p.Data = r.rest
	return p, log, seen, nil
}

// reader reads from the front of rest and goes bad at the first thing that cannot be.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || r.bad {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) text() string {
	n := r.number()
	if r.bad || n > uint64(len(r.rest)) {
		r.bad = true
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}
