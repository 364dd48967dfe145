package httpcache

import (
	"net/http"
	"time"
)

// demand is what a request allows the cache to do (RFC 9111, section 5.2.1).
type demand struct {
	bypass       bool // neither answered from the cache nor kept
	validate     bool // no-cache: only the origin's own answer will do
	onlyIfCached bool
	maxAge       time.Duration // negative: any
	minFresh     time.Duration
	authorized   bool // carries Authorization
}

// demandOf reads a request. max-stale is not honoured, as a cache may.
func demandOf(r *http.Request) demand {
	cc := ParseCacheControl(r.Header)
	d := demand{maxAge: -1, authorized: r.Header["Authorization"] != nil, onlyIfCached: cc.Has("only-if-cached")}
	d.validate = cc.Has("no-cache")
	if cc == nil && hasToken(r.Header["Pragma"], "no-cache") {
		d.validate = true
	}
	if s, ok := cc.Seconds("max-age"); ok {
		d.maxAge = s
		// A page of this very second has the age zero, but was not asked for again.
		d.validate = d.validate || s == 0
	}
	d.minFresh, _ = cc.Seconds("min-fresh")
	d.bypass = cc.Has("no-store") || r.ContentLength != 0 || len(r.TransferEncoding) > 0
	// Parts, conditions about a change, and protocol changes are the origin's.
	for _, name := range []string{"Range", "If-Range", "If-Match", "If-Unmodified-Since", "Upgrade"} {
		d.bypass = d.bypass || r.Header[name] != nil
	}
	return d
}

// use is what a stored page is good for now.
type use int

const (
	useNone    use = iota // nothing is stored
	useFresh              // serve it
	useStale              // serve it, and refresh it
	useTooOld             // stale: ask the origin
	useRefused            // fresh, but not for this request
)

// judge weighs a stored page against a request (RFC 9111, section 4).
func (d demand) judge(e *entry, now time.Time) use {
	if e == nil {
		return useNone
	}
	age := e.age(now)
	left := e.lifetime - age
	if d.authorized && !e.shared {
		return useRefused
	}
	if left <= 0 {
		if -left < e.swr && !d.validate && d.minFresh == 0 && (d.maxAge < 0 || age <= d.maxAge) {
			return useStale
		}
		return useTooOld
	}
	if d.validate || left < d.minFresh || d.maxAge >= 0 && age > d.maxAge {
		return useRefused
	}
	return useFresh
}
