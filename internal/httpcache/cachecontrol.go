package httpcache

import (
	"net/http"
	"strings"
	"time"
)

// maxDelta is what a larger delta-seconds counts as: 2^31 (RFC 9111, section 1.2.2).
const maxDelta = 1 << 31

// Directives is a parsed Cache-Control field. Names are lower case; a directive
// without an argument has the empty one.
type Directives map[string]string

// ParseCacheControl reads the Cache-Control lines of a message (RFC 9111, section
// 5.2). Unknown directives are kept. It errs on the side of caution: what it cannot
// read never makes an answer fresher. Of a directive that is there twice with
// different arguments the argument becomes unreadable, which means zero seconds.
func ParseCacheControl(h http.Header) Directives {
	lines := h["Cache-Control"]
	if len(lines) == 0 {
		return nil
	}
	d := Directives{}
	for _, line := range lines {
		for line != "" {
			var name, arg string
			name, arg, line = nextDirective(line)
			if name == "" {
				continue
			}
			if old, ok := d[name]; ok && old != arg {
				arg = unreadable
			}
			d[name] = arg
		}
	}
	return d
}

// unreadable is an argument that is no number.
const unreadable = "?"

// nextDirective cuts the first directive off a line: token [ "=" ( token / quoted ) ].
func nextDirective(line string) (name, arg, rest string) {
	end := strings.IndexAny(line, ",=")
	if end < 0 {
		return directiveName(line), "", ""
	}
	name = directiveName(line[:end])
	if line[end] == ',' {
		return name, "", line[end+1:]
	}
	value := strings.TrimLeft(line[end+1:], " \t")
	if strings.HasPrefix(value, `"`) {
		arg, value = unquote(value[1:])
		// What stands between the closing quote and the comma is nobody's.
		if _, after, ok := strings.Cut(value, ","); ok {
			return name, arg, after
		}
		return name, arg, ""
	}
	arg, rest, _ = strings.Cut(value, ",")
	return name, strings.TrimSpace(arg), rest
}

func directiveName(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// unquote reads a quoted-string after its opening quote (RFC 9110, section 5.6.4).
// One that never ends takes the whole line.
func unquote(s string) (text, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:]
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}

// Has reports whether a directive is there, with or without an argument: the
// qualified forms of private and no-cache count as the plain ones.
func (d Directives) Has(name string) bool {
	_, ok := d[name]
	return ok
}

// Seconds returns the argument of a directive as delta-seconds. One that cannot be
// read is zero seconds, so an answer is stale (RFC 9111, section 4.2.1).
func (d Directives) Seconds(name string) (time.Duration, bool) {
	arg, ok := d[name]
	if !ok {
		return 0, false
	}
	n, _ := parseDelta(arg)
	return n, true
}

// parseDelta reads delta-seconds: digits only. What overflows is 2^31.
func parseDelta(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	var n int64
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = min(n*10+int64(s[i]-'0'), maxDelta)
	}
	return time.Duration(n) * time.Second, true
}

// tokens lists the members of a comma-separated field, trimmed, empty ones left out.
func tokens(lines []string) []string {
	var out []string
	for _, line := range lines {
		for t := range strings.SplitSeq(line, ",") {
			if t = strings.TrimSpace(t); t != "" {
				out = append(out, t)
			}
		}
	}
	return out
}

// hasToken reports whether a comma-separated field has a member, in any case.
func hasToken(lines []string, token string) bool {
	for _, t := range tokens(lines) {
		if strings.EqualFold(t, token) {
			return true
		}
	}
	return false
}
