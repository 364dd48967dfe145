package app

import (
	"net/http"
	"slices"

	"flashgate"
)

// NamedLimit is a limit of the configuration, for whoever inspects it.
type NamedLimit struct {
	Name string
	Rate flashgate.Rate
	Key  func(*http.Request) string // of whoever sent a request; nil for what is not counted by request
}

// AddLimit is called while provisioning.
func (a *App) AddLimit(l NamedLimit) {
	a.limitsMu.Lock()
	defer a.limitsMu.Unlock()
	if !slices.ContainsFunc(a.limits, func(o NamedLimit) bool { return o.Name == l.Name }) {
		a.limits = append(a.limits, l)
	}
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

// LimitKey is the key of a client of a limit: "address 192.0.2.1", "key u1" or "all".
func LimitKey(limit, client string) string { return "access/" + limit + "/" + client }
