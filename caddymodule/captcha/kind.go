package captcha

import (
	"flashgate/internal/challenge"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() {
	caddy.RegisterModule(&Math{})
	caddy.RegisterModule(&Digits{})
	caddy.RegisterModule(&PoW{})
}

// Kind is a guest module in the namespace flashgate.captcha that draws challenges. PoW is
// in the same namespace, and draws none.
type Kind interface {
	caddy.Module
	challenge.Kind
}

// Math asks for the result of a formula of three operands, with + − ×; the spoken
// challenge is six digits. It has no settings.
type Math struct{ *challenge.Math }

// CaddyModule returns the Caddy module information.
func (*Math) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "flashgate.captcha.math", New: func() caddy.Module { return new(Math) }}
}

// Provision makes the painter.
func (m *Math) Provision(caddy.Context) error {
	m.Math = challenge.NewMath()
	return nil
}

// UnmarshalCaddyfile accepts no settings.
func (*Math) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

// Digits asks for six digits, drawn or spoken. It has no settings.
type Digits struct{ *challenge.Digits }

// CaddyModule returns the Caddy module information.
func (*Digits) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "flashgate.captcha.digits", New: func() caddy.Module { return new(Digits) }}
}

// Provision makes the painter.
func (d *Digits) Provision(caddy.Context) error {
	d.Digits = challenge.NewDigits()
	return nil
}

// UnmarshalCaddyfile accepts no settings.
func (*Digits) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

// Interface guards.
var (
	_ Kind                  = (*Math)(nil)
	_ caddy.Provisioner     = (*Math)(nil)
	_ caddyfile.Unmarshaler = (*Math)(nil)
	_ Kind                  = (*Digits)(nil)
	_ caddy.Provisioner     = (*Digits)(nil)
	_ caddyfile.Unmarshaler = (*Digits)(nil)
)
