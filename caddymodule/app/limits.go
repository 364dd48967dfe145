package app

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"

	"flashgate"
)

// NamedLimit is a limit of the configuration, for whoever inspects it.
type NamedLimit struct {
	Name                   string
	Rate                   flashgate.Rate
	By                     []string                   // who is counted
	IPv4Prefix, IPv6Prefix int                        // how many bits of an address count
	Key                    func(*http.Request) string // of whoever sent a request; nil for what is not counted by request
}

// AddLimit is called while provisioning. It refuses a second limit of a name that counts
// otherwise: they share their counters.
func (a *App) AddLimit(l NamedLimit) error {
	a.limitsMu.Lock()
	defer a.limitsMu.Unlock()
	if l.Rate.Algorithm == "" {
		l.Rate.Algorithm = flashgate.SlidingWindow
	}
	i := slices.IndexFunc(a.limits, func(o NamedLimit) bool { return o.Name == l.Name })
	if i < 0 {
		a.limits = append(a.limits, l)
		return nil
	}
	if before := a.limits[i].Rate; before != l.Rate {
		return fmt.Errorf("the limit %s is there already with another rate, %d in %v: limits of one name share their counters; give one of them another name", l.Name, before.Limit, before.Window)
	}
	return nil
}

// Limit finds a limit of the configuration.
func (a *App) Limit(name string) (NamedLimit, bool) {
	a.limitsMu.Lock()
	defer a.limitsMu.Unlock()
	i := slices.IndexFunc(a.limits, func(l NamedLimit) bool { return l.Name == name })
	if i < 0 {
		return NamedLimit{}, false
	}
	return a.limits[i], true
}

// Limits are those of the configuration.
func (a *App) Limits() []NamedLimit {
	a.limitsMu.Lock()
	defer a.limitsMu.Unlock()
	return slices.Clone(a.limits)
}

// MaxClient is the longest client that is part of a key as it is, in bytes.
const MaxClient = 512

// LimitKey is the key of a client of a limit: "address 192.0.2.1", "key u1" or "all". A
// longer one than MaxClient, which a visitor may send, is known by its digest.
func LimitKey(limit, client string) string {
	if len(client) > MaxClient {
		sum := sha256.Sum256([]byte(client))
		client = "#" + hex.EncodeToString(sum[:])
	}
	return "access/" + limit + "/" + client
}
