package accesslimit

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"flashgate"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// A decision is what the limits of a route say of one request. It lives as long as the
// request, whose placeholders and headers point into it, and is made anew for each.
type decision struct {
	limits    []*Limit
	charges   []flashgate.Charge // of the limits, in their order
	refusing  *Limit             // nil: all have room
	remaining int                // units of the tightest limit
	latest    *decision          // of the same request, by a directive behind; nil: this one

	one     [1]flashgate.Charge // the charges of the usual route, which has one limit
	headers [2]string           // values of RateLimit-Policy and RateLimit
}

func newDecision(limits []*Limit) *decision {
	d := &decision{limits: limits}
	if len(limits) == 1 {
		d.charges = d.one[:]
	} else {
		d.charges = make([]flashgate.Charge, len(limits))
	}
	return d
}

// wait is the longest of the limits that refuse.
func (d *decision) wait() (longest time.Duration) {
	for i := range d.charges {
		if c := &d.charges[i]; !c.Verdict.Allowed && !c.Advisory {
			longest = max(longest, c.Verdict.RetryAfter)
		}
	}
	return longest
}

// exceeded names the limits that are past.
func (d *decision) exceeded() string {
	var names []string
	for i, l := range d.limits {
		if !d.charges[i].Verdict.Allowed {
			names = append(names, l.Name)
		}
	}
	return strings.Join(names, ",")
}

// decisionVar is where a request keeps its first decision, among the variables of the site.
const decisionVar = "flashgate.access_limit"

// tell makes the request's placeholders speak of this decision, also when a directive in
// front has made one. They are written when somebody reads them, which is seldom.
func (d *decision) tell(r *http.Request, repl *caddy.Replacer) {
	if first, ok := caddyhttp.GetVar(r.Context(), decisionVar).(*decision); ok {
		first.latest = d
		return
	}
	caddyhttp.SetVar(r.Context(), decisionVar, d)
	repl.Map(d.placeholder)
}

// placeholder is a caddy.ReplacerFunc.
func (d *decision) placeholder(name string) (any, bool) {
	if d.latest != nil {
		d = d.latest
	}
	switch name {
	case "http.access_limit.remaining":
		return strconv.Itoa(d.remaining), true
	case "http.access_limit.exceeded":
		return d.exceeded(), true
	case "http.access_limit.retry_after":
		if d.refusing != nil {
			return strconv.FormatFloat(d.wait().Seconds(), 'f', 3, 64), true
		}
	}
	return nil, false
}

// setHeader says how much is left. Of limits that refuse nobody it says nothing.
func (d *decision) setHeader(h http.Header, policy string) {
	if policy == "" {
		return
	}
	d.headers = [2]string{policy, states(d.limits, d.charges, d.refusing != nil)}
	add(h, "Ratelimit-Policy", d.headers[0:1:1])
	if d.headers[1] != "" {
		add(h, "Ratelimit", d.headers[1:2:2])
	}
}
