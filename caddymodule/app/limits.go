package app

import (
	"slices"

	"flashgate"
)

// NamedLimit is a limit of the configuration, for whoever inspects it.
type NamedLimit struct {
	Name string
	Rate flashgate.Rate
}

// AddLimit is called while provisioning.
func (a *App) AddLimit(l NamedLimit) {
	a.limitsMu.Lock()
	defer a.limitsMu.Unlock()
	if !slices.ContainsFunc(a.limits, func(o NamedLimit) bool { return o.Name == l.Name }) {
		a.limits = append(a.limits, l)
	}
}

// Limits are those of the configuration.
func (a *App) Limits() []NamedLimit {
	a.limitsMu.Lock()
	defer a.limitsMu.Unlock()
	return slices.Clone(a.limits)
}

// LimitKey is the key of a client of a limit: "address 192.0.2.1", "key u1" or "all".
func LimitKey(limit, client string) string { return "access/" + limit + "/" + client }
