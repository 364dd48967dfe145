package hiddenpath

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/logging"
	"go.uber.org/zap/zapcore"
)

func init() {
	caddy.RegisterModule(&LogFilter{})
}

// tokenLength is the length of a path token: 44 bytes in base64url.
const tokenLength = 59

// LogFilter replaces path tokens in a field of the log, so that whoever reads logs
// cannot use them. Caddy logs the address as it was sent, before any handler sees
// it, so this belongs into the log's format, for access and error logs alike:
//
//	format filter {
//	    request>uri path_token
//	}
//
// In a string it replaces each run of letters, digits, -, _ and % that is as long as
// a token or longer. Order ids have a dot in them and stay readable.
type LogFilter struct{}

// CaddyModule returns the Caddy module information.
func (*LogFilter) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.logging.encoders.filter.path_token", New: func() caddy.Module { return new(LogFilter) }}
}

// UnmarshalCaddyfile reads the filter, which has no options.
func (*LogFilter) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the filter's name
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// Filter works on strings and leaves other fields alone.
func (*LogFilter) Filter(in zapcore.Field) zapcore.Field {
	if in.Type == zapcore.StringType {
		in.String = redact(in.String)
	}
	return in
}

// redact counts a longer run as well, and percent-encodings into it: a token with
// something stuck to it, or in another spelling, was refused and is still good.
func redact(s string) string {
	var b strings.Builder
	kept, start := 0, 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && tokenByte(s[i]) {
			continue
		}
		if i-start >= tokenLength {
			b.WriteString(s[kept:start])
			b.WriteString("REDACTED")
			kept = i
		}
		start = i + 1
	}
	if b.Len() == 0 {
		return s
	}
	b.WriteString(s[kept:])
	return b.String()
}

func tokenByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '%'
}

// Interface guards.
var (
	_ logging.LogFieldFilter = (*LogFilter)(nil)
	_ caddyfile.Unmarshaler  = (*LogFilter)(nil)
)
