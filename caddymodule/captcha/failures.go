package captcha

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// Failures bounds how often one may be wrong. Only an answer to an open challenge counts:
// one that is burnt or over taught a guesser nothing.
//
// The counts are limits like those of access_limit: `caddy flashgate limit` inspects,
// resets, bans and allows by the names captcha_failures ("key user u1", "key visitor …")
// and captcha_failures_by_address ("address 192.0.2.1"), followed by the rate if it is not
// the default one: "captcha_failures 5 1m0s". Directives with the same rate count together.
type Failures struct {
	// By one visitor: the user, without a login the session or the cookie. 1 to 1,000,000.
	// Default: 30.
	Visitor int `json:"visitor"`

	// By one address; of IPv6 the first 64 bits count. 1 to 1,000,000. Default: 300.
	Address int `json:"address"`

	// In how long: 1ms to 24h. Default: 10m.
	Window caddy.Duration `json:"window"`
}

var defaultFailures = Failures{Visitor: 30, Address: 300, Window: caddy.Duration(10 * time.Minute)}

// Penalty is what a wrong answer takes from a limit of access_limit.
type Penalty struct {
	Limit string `json:"limit"` // its name
	Units int    `json:"units"` // 1 to 1,000,000; as many as are left, at most
}

// names of the counts, as limits.
func (f *Failures) names() (visitor, address string) {
	visitor, address = "captcha_failures", "captcha_failures_by_address"
	if *f == defaultFailures {
		return visitor, address
	}
	window := time.Duration(f.Window)
	return fmt.Sprint(visitor, " ", f.Visitor, " ", window), fmt.Sprint(address, " ", f.Address, " ", window)
}

func (f *Failures) rates() (visitor, address flashgate.Rate) {
	window := time.Duration(f.Window)
	return flashgate.Rate{Limit: f.Visitor, Window: window}, flashgate.Rate{Limit: f.Address, Window: window}
}

// Validate checks the ranges.
func (f *Failures) Validate() error {
	visitor, address := f.rates()
	if visitor.Validate() != nil || address.Validate() != nil {
		return errors.New("failures needs how many a visitor and an address may have, 1 to 1000000, and in how long, 1ms to 24h")
	}
	return nil
}

// parseFailures reads <by a visitor> <by an address> <window>.
func (h *Handler) parseFailures(d *caddyfile.Dispenser) error {
	const example = "failures needs how many by one visitor, how many by one address, and in how long, such as: failures 30 300 10m"
	args := d.RemainingArgs()
	if len(args) != 3 {
		return d.Err(example)
	}
	visitor, err1 := strconv.Atoi(args[0])
	address, err2 := strconv.Atoi(args[1])
	window, err3 := caddy.ParseDuration(args[2])
	if errors.Join(err1, err2, err3) != nil {
		return d.Err(example)
	}
	h.Failures = &Failures{Visitor: visitor, Address: address, Window: caddy.Duration(window)}
	if err := h.Failures.Validate(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// parsePenalty reads <name of a limit> [<units>].
func (h *Handler) parsePenalty(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 || len(args) > 2 || args[0] == "" {
		return d.Err("penalty needs the name of a limit of access_limit, and may have units, such as: penalty each_user 2")
	}
	h.Penalty = &Penalty{Limit: args[0], Units: 1}
	if len(args) == 2 {
		units, err := strconv.Atoi(args[1])
		if err != nil || units < 1 || units > maxUnits {
			return d.Errf("the penalty %s must be 1 to %d units", args[1], maxUnits)
		}
		h.Penalty.Units = units
	}
	return nil
}

const maxUnits = 1_000_000

// countPatience bounds how long counting a failure may take.
const countPatience = 2 * time.Second

// guesser is who fails, by the keys of both counts.
type guesser struct{ visitor, address string }

func (h *Handler) guesser(r *http.Request, visitor string) guesser {
	if user := userOf(r); user != "" {
		visitor = "user " + user // with any number of sessions
	}
	byVisitor, byAddress := h.Failures.names()
	return guesser{app.LimitKey(byVisitor, "key "+visitor), app.LimitKey(byAddress, "address "+address(r, 32, 64))}
}

func userOf(r *http.Request) string {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	user, _ := repl.GetString("http.auth.user.id")
	return user
}

// address is the client's as Caddy knows it, cut to so many bits.
func address(r *http.Request, four, six int) string {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	a, err := netip.ParseAddr(text)
	if err != nil {
		return text
	}
	a = a.Unmap().WithZone("")
	bits := six
	if a.Is4() {
		bits = four
	}
	if bits == a.BitLen() {
		return a.String()
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return text
	}
	return p.String()
}

// barred refuses whoever has failed too often. What other gateways have refused is known
// here with the next wrong answer: each gateway gives one more try at most.
func (h *Handler) barred(who guesser) error {
	passes := false
	for _, key := range []string{who.visitor, who.address} {
		mark, ok := h.app.Mark(key)
		if ok && mark.Ban {
			return tooOften(time.Until(mark.Until))
		}
		passes = passes || ok
	}
	if passes {
		return nil
	}
	return h.bars.wait(who)
}

// failed counts a wrong answer, and takes the penalty from access_limit. The error, if
// there is one, says when to come back.
func (h *Handler) failed(r *http.Request, who guesser) error {
	// Whoever hangs up after a guess is counted all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), countPatience)
	defer cancel()
	visitor, address := h.Failures.rates()
	charges := []flashgate.Charge{{Key: who.visitor, Rate: visitor}, {Key: who.address, Rate: address}}
	if err := h.app.Limiter().Charge(ctx, charges); err != nil {
		h.logger.Debug("a wrong answer was not counted", zap.Error(err))
		return nil // it is wrong all the same
	}
	h.penalize(ctx, r)
	for i := range charges {
		if mark, ok := h.app.Mark(charges[i].Key); ok && !mark.Ban {
			return nil
		}
	}
	for _, c := range charges {
		if !c.Verdict.Allowed {
			h.bars.add(c.Key, c.Verdict.RetryAfter)
		}
	}
	return h.bars.wait(who)
}

// penalize takes units from a limit of access_limit, as many as are left.
func (h *Handler) penalize(ctx context.Context, r *http.Request) {
	if h.Penalty == nil {
		return
	}
	limit, ok := h.app.Limit(h.Penalty.Limit)
	if !ok || limit.Key == nil {
		return // its absence was said when the configuration started
	}
	units := h.Penalty.Units
	for range 2 {
		charge := [1]flashgate.Charge{{Key: limit.Key(r), Rate: limit.Rate, Cost: units}}
		err := h.app.Limiter().Charge(ctx, charge[:])
		if units = charge[0].Verdict.Remaining; err != nil || charge[0].Verdict.Allowed || units == 0 {
			return
		}
	}
}

// checkPenalty says when the limit that is to be charged is not there.
func (h *Handler) checkPenalty() {
	if _, ok := h.app.Limit(h.Penalty.Limit); !ok {
		h.logger.Error("penalty names a limit that no access_limit has: wrong answers cost nothing there", zap.String("limit", h.Penalty.Limit))
	}
}

func tooOften(wait time.Duration) error {
	return &flashgate.Error{Code: flashgate.CodeRateLimited, Op: op, Message: "Too many answers were wrong. Wait and try again.", RetryAfter: wait}
}

// bars are those who may not try for a while, as this gateway knows it. It is bounded: in
// a flood the newest are not noted, and their next wrong answer is refused by the counts.
type bars struct {
	mu    sync.Mutex
	until map[string]time.Time
}

const maxBars = 10_000

func (b *bars) add(key string, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if len(b.until) >= maxBars {
		for k, until := range b.until {
			if now.After(until) {
				delete(b.until, k)
			}
		}
	}
	if b.until == nil {
		b.until = map[string]time.Time{}
	}
	if len(b.until) < maxBars {
		b.until[key] = now.Add(wait)
	}
}

func (b *bars) wait(who guesser) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for _, key := range []string{who.visitor, who.address} {
		if until, ok := b.until[key]; ok {
			if now.Before(until) {
				return tooOften(until.Sub(now))
			}
			delete(b.until, key)
		}
	}
	return nil
}
