package captcha

import (
	"flashgate/internal/challenge"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() {
	caddy.RegisterModule(&Math{})
}

// Kind is a guest module in the namespace flashgate.captcha: it draws challenges.
type Kind interface {
	caddy.Module
	challenge.Kind
}

// Math asks for the result of a formula of three operands, with + − ×; the spoken
// challenge is six digits. It has no settings.
type Math struct{ math *challenge.Math }

// CaddyModule returns the Caddy module information.
func (*Math) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "flashgate.captcha.math", New: func() caddy.Module { return new(Math) }}
}

// Provision makes the painter.
func (m *Math) Provision(caddy.Context) error {
	m.math = challenge.NewMath()
	return nil
}

// Image draws a formula.
func (m *Math) Image() (challenge.Challenge, error) { return m.math.Image() }

// Audio speaks digits.
func (m *Math) Audio() (challenge.Challenge, error) { return m.math.Audio() }

// UnmarshalCaddyfile accepts no settings.
func (*Math) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

// Interface guards.
var (
	_ Kind                  = (*Math)(nil)
	_ caddy.Provisioner     = (*Math)(nil)
	_ caddyfile.Unmarshaler = (*Math)(nil)
)
