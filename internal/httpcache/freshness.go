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

// plan says how an answer may be kept.
type plan struct {
	lifetime time.Duration // freshness lifetime, counted as age is
	age      time.Duration // when it arrived
	swr      time.Duration // may be served stale for so long, while it is refreshed
	shared   bool          // said to be for everybody: good for requests with Authorization
	vary     []string      // canonical names, sorted; a request must agree in them
}

// policy is what the operator adds to the origin's words.
type policy struct {
	ttl time.Duration // of answers that say nothing; zero: not kept
	swr time.Duration // of answers that do not say how long
}

// judge decides whether the answer to a GET may be kept (RFC 9111, section 3), and
// for how long (section 4.2). authorized is whether the request had Authorization,
// delay how long the origin took to answer.
func (p policy) judge(authorized bool, status int, h http.Header, now time.Time, delay time.Duration) (plan, bool) {
	cc := ParseCacheControl(h)
	switch {
	case status != http.StatusOK:
		return plan{}, false
	case cc.Has("no-store"), cc.Has("private"), cc.Has("no-cache"):
		return plan{}, false
	case len(h["Set-Cookie"]) > 0, len(h["Content-Range"]) > 0, endless(h):
		return plan{}, false
	}
	out := plan{shared: cc.Has("public") || cc.Has("s-maxage") || cc.Has("must-revalidate")}
	if authorized && !out.shared {
		return plan{}, false
	}
	for _, name := range tokens(h["Vary"]) {
		if name == "*" {
			return plan{}, false
		}
		out.vary = append(out.vary, http.CanonicalHeaderKey(name))
	}
	slices.Sort(out.vary)
	out.vary = slices.Compact(out.vary)

	out.age = initialAge(h, now, delay)
	out.lifetime = p.lifetime(cc, h, now, out.age)
	if out.lifetime <= out.age {
		return plan{}, false
	}
	out.swr = p.stale(cc)
	return out, true
}

// endless media types are streams, never pages.
func endless(h http.Header) bool {
	t, _, err := mime.ParseMediaType(first(h["Content-Type"]))
	return err == nil && (t == "text/event-stream" || strings.HasPrefix(t, "multipart/x-mixed-replace"))
}

// lifetime is the first of s-maxage, max-age, Expires, and the operator's TTL for an
// answer that says nothing about caching at all. The TTL counts from now: an
// origin's wrong clock does not shorten it.
func (p policy) lifetime(cc Directives, h http.Header, now time.Time, age time.Duration) time.Duration {
	if s, ok := cc.Seconds("s-maxage"); ok {
		return min(s, maxLifetime)
	}
	if s, ok := cc.Seconds("max-age"); ok {
		return min(s, maxLifetime)
	}
	if expires, ok := h["Expires"]; ok {
		// A date that cannot be read, such as 0, is in the past (section 5.3).
		at, err := http.ParseTime(first(expires))
		if err != nil || len(expires) != 1 {
			return 0
		}
		return min(at.Sub(date(h, now)), maxLifetime)
	}
	if p.ttl > 0 && len(h["Cache-Control"]) == 0 && len(h["Pragma"]) == 0 {
		return p.ttl + age
	}
	return 0
}

// stale is how long the answer may be served stale. s-maxage has the meaning of
// proxy-revalidate in a shared cache (RFC 9111, section 5.2.2.10).
func (p policy) stale(cc Directives) time.Duration {
	if cc.Has("must-revalidate") || cc.Has("proxy-revalidate") || cc.Has("s-maxage") {
		return 0
	}
	if s, ok := cc.Seconds("stale-while-revalidate"); ok {
		return min(s, maxLifetime)
	}
	return p.swr
}

// initialAge is corrected_initial_age of RFC 9111, section 4.2.3.
func initialAge(h http.Header, now time.Time, delay time.Duration) time.Duration {
	apparent := max(now.Sub(date(h, now)), 0)
	told, _ := parseDelta(strings.TrimSpace(first(h["Age"])))
	return max(apparent, told+delay)
}

// date is when the answer was made; without a Date, now.
func date(h http.Header, now time.Time) time.Time {
	if t, err := http.ParseTime(first(h["Date"])); err == nil {
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
