package accesslimit

import (
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
	var b strings.Builder
	for _, l := range ls {
		if l.DryRun {
			continue
		}
		item(&b, l.Name)
		parameter(&b, "q", int64(l.rate().AtOnce()))
		parameter(&b, "w", seconds(time.Duration(l.Window)))
	}
	return b.String()
}

// states is RateLimit: r units remain, and in t seconds all of them are there again. Of
// a request that is refused only the limits that refuse it are named.
func states(ls []*Limit, charges []flashgate.Charge, refused bool) string {
	var b strings.Builder
	for i, l := range ls {
		v := &charges[i].Verdict
		if l.DryRun || refused && v.Allowed {
			continue
		}
		item(&b, l.Name)
		parameter(&b, "r", int64(v.Remaining))
		after := v.Reset
		if !v.Allowed {
			after = v.RetryAfter
		}
		parameter(&b, "t", seconds(after))
	}
	return b.String()
}

func item(b *strings.Builder, name string) {
	if b.Len() > 0 {
		b.WriteString(", ")
	}
	b.WriteByte('"')
	for i := range len(name) {
		if name[i] == '"' || name[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(name[i])
	}
	b.WriteByte('"')
}

func parameter(b *strings.Builder, name string, value int64) {
	var digits [20]byte
	b.WriteByte(';')
	b.WriteString(name)
	b.WriteByte('=')
	b.Write(strconv.AppendInt(digits[:0], value, 10))
}

func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
