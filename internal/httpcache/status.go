package httpcache

import (
	"net/http"
	"strconv"
	"time"
)

// Result is what became of a request: the label of a count, and the word of
// Cache-Status (RFC 9211, section 2.2) where it went forward.
type Result string

// The results.
const (
	ResultHit         Result = "hit"
	ResultStale       Result = "stale-hit"      // served stale while it is refreshed, or as the request takes it
	ResultStaleError  Result = "stale-if-error" // served stale as the origin is in trouble
	ResultRevalidated Result = "revalidated"    // served after the origin said that it has not changed
	ResultCollapsed   Result = "collapsed"      // served with another request's answer
	ResultUncached    Result = "only-if-cached"

	ResultBypass   Result = "bypass"    // neither the request nor its answer is the cache's
	ResultMethod   Result = "method"    // not GET or HEAD
	ResultURIMiss  Result = "uri-miss"  // nothing stored
	ResultVaryMiss Result = "vary-miss" // other variants are stored
	ResultPartial  Result = "partial"   // other parts are stored
	ResultOld      Result = "stale"     // too old
	ResultRequest  Result = "request"   // fresh, but the request wanted more

	ResultRefreshed    Result = "refreshed"     // in the background
	ResultNotRefreshed Result = "not-refreshed" // in the background; it failed or may not be kept
)

// Results are all of them.
var Results = []Result{
	ResultHit, ResultStale, ResultStaleError, ResultRevalidated, ResultCollapsed, ResultUncached, ResultBypass, ResultMethod,
	ResultURIMiss, ResultVaryMiss, ResultPartial, ResultOld, ResultRequest, ResultRefreshed, ResultNotRefreshed,
}

const cacheName = "flashgate"

// addStatus appends a member to Cache-Status: the caches nearer to the origin stand
// in front.
func addStatus(h http.Header, params string) {
	// A new slice: the old one may be part of a stored page.
	old := h["Cache-Status"]
	h["Cache-Status"] = append(old[:len(old):len(old)], cacheName+params)
}

// seconds are whole ones: half a second over is over.
func seconds(left time.Duration) int64 {
	s := int64(left / time.Second)
	if left < 0 && left%time.Second != 0 {
		s--
	}
	return s
}

// hitStatus has the remaining freshness in seconds, negative when stale.
func hitStatus(left int64) string {
	return cacheName + "; hit; ttl=" + strconv.FormatInt(left, 10)
}

func forwardStatus(why Result, stored bool, more string) string {
	s := "; fwd=" + string(why)
	if stored {
		s += "; stored"
	}
	return s + more
}
