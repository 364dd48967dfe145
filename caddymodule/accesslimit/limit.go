package accesslimit

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Who is counted, beside a placeholder.
const (
	byAddress = "address"
	byUser    = "user"
	bySession = "session"
	byNobody  = "all"
)

// Limit is one limit of a route.
type Limit struct {
	// Name of the limit. Limits with the same name share their counters, on every route
	// and gateway; they must have the same rate. 1 to 256 printable ASCII characters.
	// Default in a Caddyfile: matcher, rate and by, so that two routes never share by
	// accident; in JSON it is required.
	Name string `json:"name"`

	// How many may pass in a window: 1 to 1,000,000.
	Limit int `json:"limit"`

	// How long the window is: 1ms to 24h.
	Window caddy.Duration `json:"window"`

	// "sliding_window" (default), "fixed_window" or "token_bucket". Package
	// internal/ratelimit states what each lets pass.
	Algorithm flashgate.Algorithm `json:"algorithm,omitempty"`

	// How many may pass at once after a silence, with token_bucket: 1 to 1,000,000.
	// Default: limit.
	Burst int `json:"burst,omitempty"`

	// By whom it is counted. Each of: "address" (the client's, see ipv4_prefix and
	// ipv6_prefix), "user" or "session" (anonymous visitors by address), "all" (one counter
	// for everybody), or a placeholder such as {http.request.header.X-Key} (where it is
	// empty, by address). Several make one key together. Default: address.
	By []string `json:"by,omitempty"`

	// How many bits of an address count: neighbours share a counter. Defaults: 32, and 64
	// for IPv6, where a visitor has at least a /64 (RFC 6177).
	IPv4Prefix int `json:"ipv4_prefix,omitempty"`
	IPv6Prefix int `json:"ipv6_prefix,omitempty"`

	// What a request costs: a number or a placeholder that gives one, 1 to 1,000,000;
	// what is not one costs 1. More than limit (burst) never passes. Default: 1.
	Cost string `json:"cost,omitempty"`

	// Counts and reports, and refuses nobody.
	DryRun bool `json:"dry_run,omitempty"`

	// Past the limit a request needs a captcha that was solved, instead of being refused:
	// 403 captcha_required. Only a directive that can tell provides that; without one it
	// is refused as past any limit.
	StepUp bool `json:"step_up,omitempty"`

	// Where such a captcha is solved: an address that starts with a slash, or a URL. It is in
	// the answer's Link header, with rel="captcha". Default: it says nothing.
	Challenge string `json:"challenge,omitempty"`

	// How many units a gateway may take from Redis at once for a busy key and hand out
	// by itself for a tenth of the window, at most a second: 2 to 10,000. With g gateways
	// up to g × (lease − 1) more than the limit may pass in a window, and as many less
	// where a share was not used in time. Default: every request is asked for.
	Lease int `json:"lease,omitempty"`

	// Bans whoever is refused too often.
	Escalation *Escalation `json:"ban,omitempty"`

	prefix   string      // of the keys
	item     string      // the name in headers
	everyone string      // the key, where there is one for everybody
	places   []string    // for each of By the name of its placeholder, if it is nothing else
	exceeded app.Counter // of requests past the limit that are what they usually are
}

// Escalation bans a client of a limit that was refused so often in so long. Refusals are
// counted by each gateway for itself; the ban holds on all of them, within a second.
type Escalation struct {
	For    caddy.Duration `json:"for"`    // how long the ban holds: 1s to 366 days
	After  int            `json:"after"`  // refusals: 1 to 1,000,000
	Within caddy.Duration `json:"within"` // the window in which they are counted: 1ms to 24h
}

// Validate checks the settings.
func (e *Escalation) Validate() error {
	if err := e.rate().Validate(); err != nil {
		return fmt.Errorf("ban: %s", publicText(err))
	}
	if e.For < caddy.Duration(time.Second) || time.Duration(e.For) > flashgate.MaxMark {
		return fmt.Errorf("ban: it must hold for 1s to %v", flashgate.MaxMark)
	}
	return nil
}

func (e *Escalation) rate() flashgate.Rate {
	return flashgate.Rate{Limit: e.After, Window: time.Duration(e.Within)}
}

// Validate checks the settings.
func (l *Limit) Validate() error {
	if l.Name == "" || len(l.Name) > maxName || strings.ContainsFunc(l.Name, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("a name must be 1 to %d printable ASCII characters", maxName)
	}
	c := flashgate.Charge{Rate: l.rate(), Lease: l.Lease}
	if err := c.Validate(); err != nil {
		return fmt.Errorf("%s", publicText(err))
	}
	for _, by := range l.By {
		if err := validBy(by); err != nil {
			return err
		}
	}
	if l.IPv4Prefix < 0 || l.IPv4Prefix > 32 || l.IPv6Prefix < 0 || l.IPv6Prefix > 128 {
		return fmt.Errorf("prefix %d %d: write the bits of IPv4 (1 to 32) and of IPv6 (1 to 128), such as 24 56", l.IPv4Prefix, l.IPv6Prefix)
	}
	if err := validCost(l.Cost); l.Cost != "" && err != nil {
		return err
	}
	if n, _ := strconv.Atoi(l.Cost); n > l.rate().AtOnce() {
		return fmt.Errorf("cost %d: at most %d may pass at once, so nothing ever would", n, l.rate().AtOnce())
	}
	if l.Escalation != nil {
		if err := l.Escalation.Validate(); err != nil {
			return err
		}
		if l.DryRun {
			return fmt.Errorf("dry_run and ban exclude each other: one refuses nobody")
		}
	}
	if l.DryRun && l.StepUp {
		return fmt.Errorf("dry_run and step_up exclude each other: one refuses nobody")
	}
	return l.validChallenge()
}

func (l *Limit) validChallenge() error {
	if l.Challenge == "" {
		return nil
	}
	if !l.StepUp {
		return fmt.Errorf("challenge says where the captcha of step_up is, and there is no step_up")
	}
	u, err := url.Parse(l.Challenge)
	web := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
	if err != nil || !web && (u.Scheme != "" || !strings.HasPrefix(l.Challenge, "/")) || strings.ContainsAny(l.Challenge, "<>\"\\ ") {
		return fmt.Errorf("step_up %s: write where the captcha is, such as /human", l.Challenge)
	}
	return nil
}

// maxCost bounds what one request costs.
const maxCost = 1_000_000

func (l *Limit) rate() flashgate.Rate {
	return flashgate.Rate{Limit: l.Limit, Window: time.Duration(l.Window), Algorithm: l.Algorithm, Burst: l.Burst}
}

func (l *Limit) setDefaults() {
	if len(l.By) == 0 {
		l.By = []string{byAddress}
	}
	if l.IPv4Prefix == 0 {
		l.IPv4Prefix = 32
	}
	if l.IPv6Prefix == 0 {
		l.IPv6Prefix = 64
	}
	l.prefix, l.item = app.LimitKey(l.Name, ""), item(l.Name)
	if len(l.By) == 1 && l.By[0] == byNobody {
		l.everyone = app.LimitKey(l.Name, byNobody)
	}
	l.exceeded = app.ExceededCounter(l.Name, !l.DryRun)
	l.places = make([]string, len(l.By))
	for i, by := range l.By {
		l.places[i] = app.Placeholder(by)
	}
}

// charge is what a request takes from the limit.
func (l *Limit) charge(r *http.Request, repl *caddy.Replacer) flashgate.Charge {
	return flashgate.Charge{Key: l.key(r, repl), Rate: l.rate(), Cost: l.cost(repl), Advisory: l.DryRun, Lease: l.Lease}
}

// countExceeded counts a request past the limit. Past the limit nobody is let pass but in a
// dry run, or by a captcha.
func (l *Limit) countExceeded(refused bool) {
	if refused == !l.DryRun {
		l.exceeded.Inc()
	} else {
		app.ExceededCounter(l.Name, refused).Inc()
	}
}

func validCost(cost string) error {
	n, err := strconv.Atoi(cost)
	if !isPlaceholder(cost) && (err != nil || n < 1 || n > maxCost) {
		return fmt.Errorf("cost %s: write a number from 1 to %d or a placeholder such as {http.request.header.X-Items}", cost, maxCost)
	}
	return nil
}

func (l *Limit) cost(repl *caddy.Replacer) int {
	if l.Cost == "" {
		return 1
	}
	n, err := strconv.Atoi(app.Setting(repl, l.Cost))
	if err != nil && !errors.Is(err, strconv.ErrRange) || n < 1 {
		return 1
	}
	return min(n, maxCost) // what is out of range is the largest number there is
}

// key names who is counted. The kinds have prefixes, so that a user who is called
// like an address is not counted with it, and lengths where there are several, so that
// no two combinations are written alike.
func (l *Limit) key(r *http.Request, repl *caddy.Replacer) string {
	if l.everyone != "" {
		return l.everyone
	}
	if len(l.By) == 1 {
		kind, who := l.part(0, r, repl)
		if len(who) > app.MaxClient/2 {
			return app.LimitKey(l.Name, kind+who)
		}
		return l.prefix + kind + who
	}
	var b strings.Builder
	for i := range l.By {
		kind, who := l.part(i, r, repl)
		b.WriteString(strconv.Itoa(len(kind) + len(who)))
		b.WriteByte(':')
		b.WriteString(kind)
		b.WriteString(who)
	}
	return app.LimitKey(l.Name, b.String())
}

// part is what the i-th of By says of a request.
func (l *Limit) part(i int, r *http.Request, repl *caddy.Replacer) (kind, who string) {
	switch by := l.By[i]; {
	case by == byNobody:
		return "", byNobody
	case by == byAddress:
	case by == byUser:
		who, _ = repl.GetString("http.auth.user.id")
	case by == bySession:
		who, _ = repl.GetString("http.auth.user.session")
	case l.places[i] != "":
		who = value(r, repl, l.places[i])
	default:
		who = text(r, repl, by)
	}
	if who != "" {
		return "key ", who
	}
	return "address ", l.address(r)
}

// address is the client's as Caddy knows it, never from a header of the visitor's.
func (l *Limit) address(r *http.Request) string {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	a, err := netip.ParseAddr(text)
	if err != nil {
		return text
	}
	a = a.Unmap().WithZone("")
	bits := l.IPv6Prefix
	if a.Is4() {
		bits = l.IPv4Prefix
	}
	if bits == a.BitLen() {
		var room [64]byte
		written := a.AppendTo(room[:0])
		if string(written) == text { // as it usually is
			return text
		}
		return string(written)
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return text
	}
	return p.String()
}

// segment is a placeholder without a dot in its name, which Caddy does not have: who wrote
// it has taken a path for a pattern.
var segment = regexp.MustCompile(`\{[^.{}]+\}`)

func isPlaceholder(s string) bool {
	open := strings.IndexByte(s, '{')
	return open >= 0 && strings.IndexByte(s[open:], '}') >= 2
}

func validBy(by string) error {
	switch by {
	case byAddress, byUser, bySession, byNobody:
		return nil
	}
	if !isPlaceholder(by) {
		return fmt.Errorf("by %s: use user, session, address, all, header <name>, cookie <name>, query <name> or a placeholder such as {http.request.header.X-Key}", by)
	}
	if name := segment.FindString(by); name != "" {
		return fmt.Errorf("by %s: there is no placeholder %s; a segment of the path is {path.0}, {path.1} and so on", by, name)
	}
	return nil
}
