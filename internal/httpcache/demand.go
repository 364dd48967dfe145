package httpcache

import (
	"net/http"
	"strings"
	"time"
)

// demand is what a request allows the cache to do (RFC 9111, section 5.2.1).
type demand struct {
	bypass       bool // neither answered from the cache nor kept
	validate     bool // no-cache: only the origin's own answer will do
	onlyIfCached bool
	maxAge       time.Duration // negative: any
	minFresh     time.Duration
	maxStale     time.Duration // negative: not stale
	sie          time.Duration // stale-if-error (RFC 5861, section 4)
	authorized   bool          // carries Authorization

	ranged bool // wants one part of the page
	want   byteRange
	header http.Header
}

// refusesCache are the fields of requests that are the origin's: conditions about a
// change, and protocol changes.
var refusesCache = []string{"If-Match", "If-Unmodified-Since", "Upgrade"}

// demandOf reads a request. ignore leaves out what Cache-Control and Pragma say, but
// for only-if-cached.
func demandOf(r *http.Request, ignore bool) demand {
	d := demand{header: r.Header, maxAge: -1, maxStale: -1, authorized: r.Header["Authorization"] != nil}
	d.bypass = r.ContentLength != 0 || len(r.TransferEncoding) > 0
	for _, name := range refusesCache {
		d.bypass = d.bypass || r.Header[name] != nil
	}
	// What it names does not reach the origin, but may be part of the key.
	for _, name := range tokens(r.Header["Connection"]) {
		switch strings.ToLower(name) {
		case "close", "keep-alive", "te":
		default:
			d.bypass = true
		}
	}
	if r.Method == http.MethodGet && r.Header["Range"] != nil {
		d.want, d.ranged = rangeOf(r.Header)
	}
	cc := ParseCacheControl(r.Header)
	d.onlyIfCached = cc.Has("only-if-cached")
	if ignore {
		return d
	}
	if cc == nil {
		d.validate = r.Header["Pragma"] != nil && hasToken(r.Header["Pragma"], "no-cache")
		return d
	}
	d.bypass = d.bypass || cc.Has("no-store")
	d.validate = cc.Has("no-cache")
	if s, ok := cc.Seconds("max-age"); ok {
		d.maxAge = s
		// A page of this very second has the age zero, but was not asked for again.
		d.validate = d.validate || s == 0
	}
	d.minFresh, _ = cc.Seconds("min-fresh")
	d.sie, _ = cc.Seconds("stale-if-error")
	if arg, ok := cc["max-stale"]; ok {
		if arg == "" {
			d.maxStale = maxLifetime
		} else {
			d.maxStale, _ = parseDelta(arg)
		}
	}
	return d
}

// use is what a stored page is good for now.
type use int

const (
	useNone    use = iota // nothing is stored that helps
	useFresh              // serve it
	useAged               // stale, and the request takes it
	useStale              // stale: serve it, and refresh it
	useTooOld             // stale: ask the origin
	useRefused            // fresh, but not for this request
)

// judge weighs a stored page against a request (RFC 9111, section 4).
func (d demand) judge(e *entry, soft bool, now time.Time) use {
	if !d.helps(e) {
		return useNone
	}
	if d.authorized && !e.shared {
		return useRefused
	}
	age, left := e.age(now), e.left(now, soft)
	if left > 0 {
		if d.validate || left < d.minFresh || d.maxAge >= 0 && age > d.maxAge {
			return useRefused
		}
		return useFresh
	}
	switch over := -left; {
	case !d.takesStale(e, age):
		return useTooOld
	case over < e.swr:
		return useStale
	case over <= d.maxStale && !soft:
		return useAged
	}
	return useTooOld
}

// helps reports whether a page has what the request is for.
func (d demand) helps(e *entry) bool {
	return e != nil && (!e.part.partial() || d.ranged && e.covers(d.want) && rangeValid(d.header, e.header))
}

// takesStale reports whether a stale page is not out of the question.
func (d demand) takesStale(e *entry, age time.Duration) bool {
	return !e.strict && !d.validate && d.minFresh == 0 && (d.maxAge < 0 || age <= d.maxAge+max(d.maxStale, 0)) && (!d.authorized || e.shared)
}

// standsIn reports whether a page may be served although it is stale, as the origin is
// in trouble: unreachable is for how long when it cannot be reached at all, zero when it
// has answered with a server error (RFC 5861, section 4).
func (d demand) standsIn(at place, now time.Time, unreachable time.Duration) bool {
	e := at.entry
	return d.helps(e) && d.takesStale(e, e.age(now)) && -e.left(now, at.soft) < max(e.sie, d.sie, unreachable)
}
