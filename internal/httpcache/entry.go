package httpcache

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"flashgate"
)

// entry is a stored answer. It is never changed once it is there.
type entry struct {
	born     time.Time // when its age was zero, in milliseconds
	lifetime time.Duration
	swr, sie time.Duration
	shared   bool   // good for requests with Authorization
	strict   bool   // never stale
	tagged   bool   // its ETag is the cache's own, which the origin does not know
	source   string // who said how long it is fresh
	status   int
	header   http.Header
	body     []byte
	part     span // of partial content, which body is; zero for a whole page

	whole, bare layout // of a hit, of a 304
	said        atomic.Pointer[saying]
}

// age is current_age of RFC 9111, section 4.2.3.
func (e *entry) age(now time.Time) time.Duration { return max(now.Sub(e.born), 0) }

// left is for how long it is fresh, negative when it is stale. A soft purge makes a
// page stale as of now.
func (e *entry) left(now time.Time, soft bool) time.Duration {
	left := e.lifetime - e.age(now)
	if soft {
		return min(left, 0)
	}
	return left
}

// validators reports whether the origin can be asked if it is still the same.
func (e *entry) validators() bool {
	return len(e.header["Etag"]) > 0 && !e.tagged || len(e.header["Last-Modified"]) > 0
}

// ends is when it is of no use any more.
func (e *entry) ends(unreachable time.Duration) time.Time {
	var after time.Duration
	if !e.strict {
		after = max(e.swr, e.sie, unreachable)
	}
	if e.validators() {
		after = max(after, keepForValidation)
	}
	return e.born.Add(e.lifetime + after)
}

// Size is what the entry costs beside its page's data, in bytes, about.
func (e *entry) Size() int {
	n := 600
	for name, values := range e.header {
		n += len(name) + 150
		for _, v := range values {
			n += len(v) + 48
		}
	}
	return n
}

// Describe is for operators who inspect a page.
func (e *entry) Describe() map[string]any {
	d := map[string]any{
		"status": e.status, "header": e.header, "body_bytes": len(e.body),
		"age_zero_at": e.born, "fresh_until": e.born.Add(e.lifetime), "lifetime_from": e.source,
	}
	if e.swr > 0 {
		d["stale_while_revalidate"] = e.swr.String()
	}
	if e.sie > 0 {
		d["stale_if_error"] = e.sie.String()
	}
	if e.strict {
		d["never_stale"] = true
	}
	if e.part.partial() {
		d["content_range"] = e.part.contentRange(int64(len(e.body)))
	}
	return d
}

// variants is stored under the URI of answers that vary. Generation is part of the keys
// of its pages: a new one leaves all the old pages behind.
type variants struct {
	generation uint64
	names      []string

	keys memo
}

// Size is what the record costs, with the keys that it remembers.
func (v *variants) Size() int { return 1<<10 + maxMemory }

// Describe is for operators who inspect a page.
func (v *variants) Describe() map[string]any { return map[string]any{"vary": v.names} }

// layout is the header of an answer made ready: all values in one slice, of which a hit
// needs a copy, as others may edit the values that it sends in place.
type layout struct {
	names       []string
	ends        []int // of each name's values
	values      []string
	age, status int // where Age and this cache's member of Cache-Status go
}

// lay makes the layouts, once, before others see the entry.
func (e *entry) lay() {
	length := ""
	if bodyAllowed(e.status) {
		length = strconv.Itoa(len(e.body))
	}
	e.whole = layoutOf(e.header, length)
	bare := make(http.Header, len(e.header))
	for name, values := range e.header {
		bare[name] = values
	}
	toNotModified(bare)
	e.bare = layoutOf(bare, "")
}

func layoutOf(h http.Header, length string) layout {
	var l layout
	add := func(name string, values ...string) int {
		l.names = append(l.names, name)
		l.values = append(l.values, values...)
		l.ends = append(l.ends, len(l.values))
		return len(l.values) - 1
	}
	for name, values := range h {
		if name != "Cache-Status" {
			add(name, values...)
		}
	}
	if length != "" {
		add("Content-Length", length)
	}
	l.age = add("Age", "")
	// The caches nearer to the origin stand in front.
	l.status = add("Cache-Status", append(h["Cache-Status"][:len(h["Cache-Status"]):len(h["Cache-Status"])], "")...)
	return l
}

// write puts the header into h.
func (l *layout) write(h http.Header, age, status string) {
	values := make([]string, len(l.values))
	copy(values, l.values)
	values[l.age], values[l.status] = age, status
	from := 0
	for i, name := range l.names {
		h[name] = values[from:l.ends[i]:l.ends[i]]
		from = l.ends[i]
	}
}

// saying is what a hit says of a page's age: the same for a second.
type saying struct {
	age, left   int64 // seconds
	ages, words string
}

// say returns Age and the member of Cache-Status of a hit.
func (e *entry) say(now time.Time, soft bool) (age, status string) {
	a, l := int64(e.age(now)/time.Second), seconds(e.left(now, soft))
	if s := e.said.Load(); s != nil && s.age == a && s.left == l {
		return s.ages, s.words
	}
	s := &saying{a, l, strconv.FormatInt(a, 10), hitStatus(l)}
	e.said.Store(s)
	return s.ages, s.words
}

// formOf is what a page of the store holds: *entry or *variants, nil when it is not of
// this version of the program.
func formOf(p *flashgate.Page) any {
	if form := p.Form(); form != nil {
		return form
	}
	form, err := decode(p.Data)
	if err != nil {
		return nil // as good as not there
	}
	p.SetForm(form)
	return form
}
