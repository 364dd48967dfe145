package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// gate is one sale in Redis, at one moment. Its keys are described in
// internal/redis/lua/README.md.
type gate struct {
	head            map[string]string
	held            map[string]string // order → "units at entered user"
	outbox, leased  int64
	shares, decided map[string]string // user → "units order", order → "units user"
}

func openGate(text string) (goredis.UniversalClient, error) {
	opts, err := parseRedisURL(text)
	if err != nil {
		return nil, fmt.Errorf("--redis %w", err)
	}
	logging.Disable() // the error says it, once
	return goredis.NewUniversalClient(opts), nil
}

// parseRedisURL reads what REDIS_URL may be, but for certificates of one's own. An error
// never repeats a part of it.
func parseRedisURL(text string) (*goredis.UniversalOptions, error) {
	bad := errors.New("is not a URL such as redis://user:password@host:6379/0")
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || scheme != "redis" && scheme != "rediss" {
		return nil, bad
	}
	// Several hosts are no host to net/url.
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	opts := &goredis.UniversalOptions{Protocol: 2, DisableIdentity: true}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, password, _ := strings.Cut(authority[:i], ":")
		var err1, err2 error
		opts.Username, err1 = url.PathUnescape(user)
		opts.Password, err2 = url.PathUnescape(password)
		if err1 != nil || err2 != nil {
			return nil, bad
		}
		authority = authority[i+1:]
	}
	u, err := url.Parse("//host" + tail)
	if err != nil {
		return nil, bad
	}
	q := u.Query()
	opts.MasterName, opts.IsClusterMode = q.Get("sentinel"), q.Get("cluster") == "true"
	opts.SentinelUsername, opts.SentinelPassword = q.Get("sentinel_user"), q.Get("sentinel_password")
	if db := strings.Trim(u.Path, "/"); db != "" {
		if opts.DB, err = strconv.Atoi(db); err != nil {
			return nil, bad
		}
	}
	if q.Has("tls_ca") || q.Has("tls_cert") {
		return nil, errors.New("has tls_ca or tls_cert, which the verdict does not read: give the system the authority")
	}
	if scheme == "rediss" {
		opts.TLSConfig = &tls.Config{ServerName: q.Get("tls_server_name"), MinVersion: tls.VersionTLS12}
	}
	port := "6379"
	if opts.MasterName != "" {
		port = "26379"
	}
	for _, host := range strings.Split(authority, ",") {
		if host == "" {
			return nil, bad
		}
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		opts.Addrs = append(opts.Addrs, host)
	}
	return opts, nil
}

// readGate reads all keys of a sale in one transaction: they share a slot.
func readGate(ctx context.Context, c goredis.UniversalClient, sale string) (*gate, error) {
	key := func(part string) string { return "flashgate:{" + sale + "}:" + part }
	p := c.TxPipeline()
	head, held, buyers := p.HGetAll(ctx, key("head")), p.HGetAll(ctx, key("held")), p.HGetAll(ctx, key("buyers"))
	outbox, leased := p.ZCard(ctx, key("outbox")), p.ZCard(ctx, key("leased"))
	if _, err := p.Exec(ctx); err != nil {
		return nil, fmt.Errorf("the gate does not answer: %w", err)
	}
	g := &gate{head: head.Val(), held: held.Val(), outbox: outbox.Val(), leased: leased.Val(), shares: map[string]string{}, decided: map[string]string{}}
	for field, value := range buyers.Val() {
		if user, ok := strings.CutPrefix(field, "u:"); ok {
			g.shares[user] = value
		} else if order, ok := strings.CutPrefix(field, "o:"); ok {
			g.decided[order] = value
		}
	}
	return g, nil
}

// number reads a field of the head; what is none is a fault.
func (g *gate) number(c *check, field string) int64 {
	n, err := strconv.ParseInt(g.head[field], 10, 64)
	if err != nil {
		c.fault("the gate's %s is %q", field, g.head[field])
	}
	return n
}

// first is the number that a value begins with; what comes after it is rest.
func first(value string) (units int64, rest string) {
	n, rest, _ := strings.Cut(value, " ")
	units, err := strconv.ParseInt(n, 10, 64)
	if err != nil {
		units = -1
	}
	return units, rest
}

// judgeGate is P4 at rest, as Redis has it: nothing is held but what waits as a dead
// letter, nothing waits to be published, the sums are the database's, and so is what each
// buyer has. A gate that forgot an order would take a repeat for a new one.
func judgeGate(g *gate, b *books) check {
	c := check{name: "redis"}
	if len(g.head) == 0 {
		c.text = "the gate is at rest"
		c.fault("the gate does not have this sale")
		return c
	}
	free, heldSum, applied, epoch := g.number(&c, "free"), g.number(&c, "held"), g.number(&c, "applied"), g.number(&c, "epoch")
	c.text = fmt.Sprintf("the gate is at rest: %d free, %d held, %d in the outbox, %d buyers", free, heldSum, g.outbox+g.leased, len(g.shares))
	held, dead := int64(0), map[string]int64{}
	for _, order := range sorted(g.held) {
		n, rest := first(g.held[order])
		held += n
		if parts := strings.SplitN(rest, " ", 3); b.letters[order] && len(parts) == 3 {
			dead[parts[2]] += n
			continue
		}
		c.fault("order %s is held and has no dead letter", order)
	}
	if held != heldSum {
		c.fault("the head says %d held, the reservations have %d", heldSum, held)
	}
	if n := g.outbox + g.leased; n > 0 {
		c.fault("%d orders are not known to be in the queue", n)
	}
	if free+heldSum != b.stockLeft {
		c.fault("%d free and %d held are not the %d that are left in the database", free, heldSum, b.stockLeft)
	}
	if applied != b.seq || epoch != b.epoch {
		c.fault("the gate is at epoch %d, seq %d, the database at %d, %d", epoch, applied, b.epoch, b.seq)
	}
	g.judgeBuyers(&c, b, dead)
	return c
}

func (g *gate) judgeBuyers(c *check, b *books, dead map[string]int64) {
	want := map[string]int64{}
	for _, r := range b.rows {
		if r.live() {
			want[r.user] += r.units
		}
	}
	for user, n := range dead {
		want[user] += n
	}
	for _, user := range sorted(g.shares) {
		if n, _ := first(g.shares[user]); n != want[user] {
			c.fault("user %s has %d units at the gate, %d by the orders", user, n, want[user])
		}
		delete(want, user)
	}
	for _, user := range sorted(want) {
		if want[user] > 0 {
			c.fault("user %s has live orders and is unknown at the gate", user)
		}
	}
	for _, id := range sorted(b.rows) {
		r := b.rows[id]
		if n, user := first(g.decided[id]); r.live() && (n != r.units || user != r.user) {
			c.fault("the gate remembers order %s as %q, it is of user %s, %d units", id, g.decided[id], r.user, r.units)
		}
	}
}
