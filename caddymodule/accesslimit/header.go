package accesslimit

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"flashgate"
)

// The headers of draft-ietf-httpapi-ratelimit-headers-10: lists of strings with
// parameters (RFC 9651), one for each limit that refuses somebody.

// policy is RateLimit-Policy: q units in w seconds. A window is given in whole seconds,
// rounded up; one that is shorter than a second says 1.
func policy(ls []*Limit) string {
	var b []byte
	for _, l := range ls {
		if l.DryRun {
			continue
		}
		b = appendItem(b, l.item)
		b = appendParameter(b, 'q', int64(l.rate().AtOnce()))
		b = appendParameter(b, 'w', seconds(time.Duration(l.Window)))
	}
	return string(b)
}

// states is RateLimit: r units remain, and in t seconds all of them are there again. Of
// a request that is refused only the limits that refuse it are named.
func states(ls []*Limit, charges []flashgate.Charge, refused bool) string {
	var room [256]byte
	b := room[:0]
	for i, l := range ls {
		v := &charges[i].Verdict
		if l.DryRun || refused && v.Allowed {
			continue
		}
		b = appendItem(b, l.item)
		b = appendParameter(b, 'r', int64(v.Remaining))
		after := v.Reset
		if !v.Allowed {
			after = v.RetryAfter
		}
		b = appendParameter(b, 't', seconds(after))
	}
	return string(b)
}

// add adds a field that another limit in front may have set, too. value is the header's
// from now on.
func add(h http.Header, name string, value []string) {
	if there := h[name]; len(there) > 0 {
		value = append(there, value...)
	}
	h[name] = value
}

// item is a name as a string of RFC 9651, section 3.3.3.
func item(name string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// appendItem adds one to a list.
func appendItem(b []byte, item string) []byte {
	if len(b) > 0 {
		b = append(b, ", "...)
	}
	return append(b, item...)
}

func appendParameter(b []byte, name byte, value int64) []byte {
	return strconv.AppendInt(append(b, ';', name, '='), value, 10)
}

func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
