package pathpattern

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Pattern is a parsed pattern. It never changes after Parse and may be used from
// any number of goroutines.
type Pattern struct {
	method   string
	path     string
	segments []segment
	names    []string // of the named segments, from left to right
}

// segment is one part of the path between two slashes. Exactly one of name and
// folded is set.
type segment struct {
	name   string // of `{name}`
	folded string // the literal in lower case, still escaped: what Match compares
	loose  string // the literal decoded, without trailing dots: what Under compares
}

// reserved are the names that Caddy's Caddyfile adapter replaces by a placeholder
// of its own wherever they stand in braces, before a directive sees its arguments.
var reserved = map[string]bool{
	"client_ip": true, "dir": true, "file": true, "host": true, "hostport": true,
	"method": true, "path": true, "port": true, "query": true, "remote": true,
	"remote_host": true, "remote_port": true, "scheme": true, "uri": true, "uuid": true,

	"orig_dir": true, "orig_file": true, "orig_method": true, "orig_path": true,
	"orig_query": true, "orig_uri": true,

	"tls_cipher": true, "tls_version": true, "tls_client_fingerprint": true,
	"tls_client_issuer": true, "tls_client_serial": true, "tls_client_subject": true,
	"tls_client_certificate_pem": true, "tls_client_certificate_der_base64": true,
	"upstream_hostport": true,
}

// Parse reads a pattern. The method is one or more capital letters. The path is
// absolute and has at least one segment; a segment is either a name in braces,
// which stands for exactly one segment of a request and fits [a-z][a-z0-9_]*, or
// a literal in the characters of a URL (RFC 3986, section 3.3).
//
// A literal is written the way requests spell it: a percent-encoding is allowed
// only for bytes outside ASCII, because any other one has a plain spelling.
// Wildcards, queries, fragments, `;` parameters, dot segments, repeated names and
// the names of Caddy's own shorthands are refused. Every error says what to do.
func Parse(method, path string) (*Pattern, error) {
	if err := checkMethod(method); err != nil {
		return nil, err
	}
	p := &Pattern{method: method, path: path}
	if err := p.parsePath(); err != nil {
		return nil, fmt.Errorf("path %q: %w", path, err)
	}
	return p, nil
}

// Method is the method that Match wants.
func (p *Pattern) Method() string { return p.method }

// Path is the pattern's path as it was parsed.
func (p *Pattern) Path() string { return p.path }

// String is the method and the path, the way an operator writes them.
func (p *Pattern) String() string { return p.method + " " + p.path }

// Names are the names of the pattern's segments from left to right, in the order
// of the values that Match returns. The caller owns the slice.
func (p *Pattern) Names() []string { return slices.Clone(p.names) }

func checkMethod(method string) error {
	if method == "" {
		return errors.New("the method is missing: start the pattern with one, such as POST")
	}
	for i := range len(method) {
		if c := method[i]; c < 'A' || c > 'Z' {
			return fmt.Errorf("%q is not a method: start the pattern with one in capital letters, such as POST", method)
		}
	}
	return nil
}

func (p *Pattern) parsePath() error {
	rest, ok := strings.CutPrefix(p.path, "/")
	if !ok {
		return errors.New("must start with a slash")
	}
	if rest == "" {
		return errors.New("has no segment: name at least one, such as /orders")
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		return fmt.Errorf("has a %q: leave it and what follows out, a pattern matches the path only", rest[i])
	}
	for part := range strings.SplitSeq(rest, "/") {
		s, err := parseSegment(part)
		if err != nil {
			return err
		}
		if s.name != "" {
			if slices.Contains(p.names, s.name) {
				return fmt.Errorf("the name {%s} is used twice: give each segment a name of its own", s.name)
			}
			p.names = append(p.names, s.name)
		}
		p.segments = append(p.segments, s)
	}
	return nil
}

func parseSegment(part string) (segment, error) {
	switch {
	case part == "":
		return segment{}, errors.New("has an empty segment: remove the double or trailing slash")
	case strings.Contains(part, "*"):
		return segment{}, fmt.Errorf("segment %q has a wildcard: write a named segment, such as {id}, instead of *", part)
	case strings.ContainsAny(part, "{}"):
		name, err := parseName(part)
		return segment{name: name}, err
	default:
		return parseLiteral(part)
	}
}

func parseName(part string) (string, error) {
	name, opened := strings.CutPrefix(part, "{")
	name, closed := strings.CutSuffix(name, "}")
	switch {
	case !opened || !closed || strings.ContainsAny(name, "{}"):
		return "", fmt.Errorf("segment %q: a name in braces stands for a whole segment, such as /{id}/", part)
	case name == "":
		return "", errors.New("has {} without a name: write one, such as {id}")
	case reserved[name]:
		return "", fmt.Errorf("the name {%s} is a placeholder of Caddy's own: choose another one, such as {%s_id}", name, name)
	case strings.HasPrefix(name, "http."):
		return "", fmt.Errorf("the name {%s} was put in by Caddy for one of its own placeholders: choose another name", name)
	case !validName(name):
		return "", fmt.Errorf("the name {%s} is not valid: use a small letter, then small letters, digits and underscores", name)
	}
	return name, nil
}

func validName(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return true
}

// punctuation is what RFC 3986 allows in a segment besides letters and digits,
// without `*` and without `;`, which starts parameters at some origins.
const punctuation = "-._~!$&'()+,=:@"

func parseLiteral(part string) (segment, error) {
	for i := 0; i < len(part); i++ {
		c := part[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte(punctuation, c) >= 0:
		case c == '%':
			b, ok := unhex(part[i:])
			if !ok || b < 0x80 {
				return segment{}, fmt.Errorf("segment %q: percent-encode only bytes outside ASCII, as %%XX; write the others as they are", part)
			}
			i += 2
		case c >= 0x80:
			return segment{}, fmt.Errorf("segment %q: percent-encode what is not ASCII, as browsers send it", part)
		default:
			return segment{}, fmt.Errorf("segment %q: %q cannot stand in a pattern, use letters, digits and any of %s", part, c, punctuation)
		}
	}
	if strings.Trim(part, ".") == "" {
		return segment{}, fmt.Errorf("segment %q: write the path out, without dot segments", part)
	}
	return segment{folded: lowerASCII(part), loose: trimTail(unescape(part))}, nil
}

func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		b[i] = lower(c)
	}
	return string(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
