package httpcache

import (
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxLifetime bounds how long a page is kept, whatever the origin says: a year.
const maxLifetime = 365 * 24 * time.Hour

// maxHeuristic bounds a lifetime that is only guessed: a day, beyond which a warning
// was once asked for (RFC 7234, section 5.5.4).
const maxHeuristic = 24 * time.Hour

// keepForValidation is how long a page that has a validator is kept after it has become
// stale: a 304 then costs less than the page.
const keepForValidation = time.Hour

// plan says how an answer may be kept.
type plan struct {
	lifetime time.Duration // freshness lifetime, counted as age is
	age      time.Duration // when it arrived
	swr      time.Duration // may be served stale for so long, while it is refreshed
	sie      time.Duration // may be served stale for so long, when the origin is in trouble
	shared   bool          // said to be for everybody: good for requests with Authorization
	strict   bool          // never stale
	vary     []string      // canonical names, sorted; a request must agree in them
	source   string        // who said how long it is fresh
}

// fresh reports whether the answer is good for more than the request that brought it.
func (p plan) fresh() bool { return p.lifetime > p.age }

// policy is what the operator adds to the origin's words.
type policy struct {
	ttl       time.Duration         // of answers that say nothing; zero: not kept
	override  time.Duration         // in place of what they say; zero: what they say
	statuses  map[int]time.Duration // of answers with the status that say nothing
	swr, sie  time.Duration         // of answers that do not say how long
	heuristic bool
}

// refusal is why an answer may not be kept, in a word; empty when it may.
type refusal string

// The refusals.
const (
	refusedStatus   refusal = "status"        // of a kind that is never kept
	refusedStore    refusal = "no-store"      // by the origin
	refusedPrivate  refusal = "private"       // by the origin
	refusedCookie   refusal = "set-cookie"    // it is one visitor's own
	refusedAuth     refusal = "authorization" // to a request that has it
	refusedVary     refusal = "vary"          // by everything
	refusedStream   refusal = "stream"        // it has no end
	refusedNothing  refusal = "no-freshness"  // nobody says for how long
	refusedType     refusal = "content-type"  // it does not match the extension of the path
	refusedSize     refusal = "size"          // larger than the maximum
	refusedBroken   refusal = "broken-off"    // the end of it has not come
	refusedOutdated refusal = "invalidated"   // while it was on its way
)

// judge decides whether the answer to a GET may be kept (RFC 9111, section 3), and
// for how long (section 4.2). authorized is whether the request had Authorization,
// delay how long the origin took to answer.
func (p policy) judge(authorized bool, status int, h http.Header, now time.Time, delay time.Duration) (plan, refusal) {
	cc, targeted := controlOf(h)
	if why := storable(cc, status); why != "" {
		return plan{}, why
	}
	if len(h["Set-Cookie"]) > 0 {
		return plan{}, refusedCookie
	}
	if endless(h) {
		return plan{}, refusedStream
	}
	out := plan{
		shared: cc.Has("public") || cc.Has("s-maxage") || cc.Has("must-revalidate"),
		strict: cc.Has("must-revalidate") || cc.Has("proxy-revalidate") || cc.Has("s-maxage") || cc.Has("no-cache"),
	}
	if authorized && !out.shared {
		return plan{}, refusedAuth
	}
	var ok bool
	if out.vary, ok = varyOf(h); !ok {
		return plan{}, refusedVary
	}
	out.age = initialAge(h, now, delay)
	out.lifetime, out.source = p.lifetime(cc, targeted, status, h, now, out.age)
	if !out.fresh() {
		if out.source == "" || !validators(h) {
			return plan{}, refusedNothing
		}
		out.lifetime = max(min(out.lifetime, out.age), 0)
	}
	if out.strict {
		return out, ""
	}
	out.swr, out.sie = p.swr, p.sie
	if s, ok := cc.Seconds("stale-while-revalidate"); ok {
		out.swr = min(s, maxLifetime)
	}
	if s, ok := cc.Seconds("stale-if-error"); ok {
		out.sie = min(s, maxLifetime)
	}
	return out, ""
}

// storable is the part of RFC 9111, section 3, that goes by status and directives.
// A cache that understands a status may store an answer with must-understand although
// it says no-store (section 5.2.2.3).
func storable(cc Directives, status int) refusal {
	understands := cc.Has("must-understand")
	switch {
	case status < 200, status == http.StatusNotModified, status == http.StatusRequestedRangeNotSatisfiable, understands && !understood(status):
		return refusedStatus
	case cc.Has("no-store") && !understands:
		return refusedStore
	case cc.Has("private"):
		return refusedPrivate
	}
	return ""
}

// understood are the final statuses of RFC 9110, section 15.
func understood(status int) bool { return http.StatusText(status) != "" }

// varyOf reads Vary; false for "*". A coding of the content is never for everybody,
// whether the origin says so or not.
func varyOf(h http.Header) (names []string, ok bool) {
	for _, name := range tokens(h["Vary"]) {
		if name == "*" {
			return nil, false
		}
		names = append(names, http.CanonicalHeaderKey(name))
	}
	if len(h["Content-Encoding"]) > 0 {
		names = append(names, "Accept-Encoding")
	}
	slices.Sort(names)
	return slices.Compact(names), true
}

func validators(h http.Header) bool { return len(h["Etag"]) > 0 || len(h["Last-Modified"]) > 0 }

// endless media types are streams, never pages.
func endless(h http.Header) bool {
	t, _, err := mime.ParseMediaType(first(h["Content-Type"]))
	return err == nil && (t == "text/event-stream" || strings.HasPrefix(t, "multipart/x-mixed-replace"))
}

// lifetime is the first of the operator's override, s-maxage, max-age, Expires, what
// the operator says of answers that say nothing, and a guess. An operator's lifetime
// counts from now: an origin's wrong clock does not shorten it. source is who has
// spoken, be it of no time at all; empty for nobody.
func (p policy) lifetime(cc Directives, targeted bool, status int, h http.Header, now time.Time, age time.Duration) (lifetime time.Duration, source string) {
	if cc.Has("no-cache") {
		return 0, "no-cache"
	}
	if p.override > 0 && status < 300 {
		return p.override + age, "ttl_override"
	}
	for _, name := range []string{"s-maxage", "max-age"} {
		if s, ok := cc.Seconds(name); ok {
			return min(s, maxLifetime), name
		}
	}
	if expires, ok := h["Expires"]; ok && !targeted {
		// A date that cannot be read, such as 0, is in the past (section 5.3).
		at, ok := parseDate(first(expires), now)
		if !ok || len(expires) != 1 {
			return 0, "expires"
		}
		return min(at.Sub(date(h, now)), maxLifetime), "expires"
	}
	if !targeted && len(h["Cache-Control"]) == 0 && len(h["Pragma"]) == 0 {
		if ttl, ok := p.statuses[status]; ok {
			return ttl + age, "status"
		}
		if p.ttl > 0 && status == http.StatusOK {
			return p.ttl + age, "ttl"
		}
	}
	if p.heuristic && !hasToken(h["Pragma"], "no-cache") && (heuristicStatus(status) || cc.Has("public")) {
		if changed, ok := parseDate(first(h["Last-Modified"]), now); ok {
			return min(date(h, now).Sub(changed)/10, maxHeuristic), "heuristic"
		}
	}
	return 0, ""
}

// heuristicStatus are the statuses whose lifetime may be guessed (RFC 9110, section
// 15.1), without 206.
func heuristicStatus(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// initialAge is corrected_initial_age of RFC 9111, section 4.2.3.
func initialAge(h http.Header, now time.Time, delay time.Duration) time.Duration {
	apparent := max(now.Sub(date(h, now)), 0)
	return max(apparent, toldAge(h)+delay)
}

// toldAge reads Age: the first member of the first line, without parameters. One that
// is no number says nothing.
func toldAge(h http.Header) time.Duration {
	s, _, _ := strings.Cut(first(h["Age"]), ",")
	s, _, _ = strings.Cut(s, ";")
	age, _ := parseDelta(strings.TrimSpace(s))
	return age
}

// date is when the answer was made; without a Date, now.
func date(h http.Header, now time.Time) time.Time {
	if t, ok := parseDate(first(h["Date"]), now); ok {
		return t
	}
	return now
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
