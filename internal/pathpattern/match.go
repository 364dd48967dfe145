package pathpattern

import "strings"

// Match reports whether a request is the one the pattern names. The method is
// compared exactly: HEAD is not GET. Literal segments are compared with the
// escaped path, ignoring the case of ASCII letters; a named segment takes exactly
// one segment, not empty, and keeps it as it is, still escaped. A trailing or a
// double slash does not match, and neither does a slash in disguise: what decodes the
// path before it looks, as matchers of other modules do, sees another number of
// segments there.
//
// The values are appended to values[:0] and returned, in the order of Names: with
// room for them Match does not allocate. On false vals is nil, and what values
// held may have been overwritten.
func (p *Pattern) Match(method, escapedPath string, values []string) (vals []string, ok bool) {
	if method != p.method {
		return nil, false
	}
	rest, ok := strings.CutPrefix(escapedPath, "/")
	if !ok {
		return nil, false
	}
	vals = values[:0]
	more := true
	for i := range p.segments {
		if !more {
			return nil, false
		}
		var part string
		part, rest, more = strings.Cut(rest, "/")
		s := &p.segments[i]
		switch {
		case s.name == "":
			if !equalFolded(part, s.folded) {
				return nil, false
			}
		case part == "" || escapedSlash(part):
			return nil, false
		default:
			vals = append(vals, part)
		}
	}
	if more {
		return nil, false
	}
	return vals, true
}

// escapedSlash reports whether a segment holds %2F, in either case.
func escapedSlash(part string) bool {
	for {
		i := strings.IndexByte(part, '%')
		if i < 0 || len(part) < i+3 {
			return false
		}
		if part[i+1] == '2' && lower(part[i+2]) == 'f' {
			return true
		}
		part = part[i+1:]
	}
}

// Value is the value of a name among those that Match returned, still escaped. It
// is empty for a name that the pattern does not have.
func (p *Pattern) Value(vals []string, name string) string {
	for i, n := range p.names {
		if n == name && i < len(vals) {
			return vals[i]
		}
	}
	return ""
}

// Parent is a matched request's escaped path without its last segment: `/` when
// there was only one.
func Parent(escapedPath string) string {
	if i := strings.LastIndexByte(escapedPath, '/'); i > 0 {
		return escapedPath[:i]
	}
	return "/"
}

// equalFolded compares s with a string in lower case. strings.EqualFold would
// also take the Kelvin sign for a k.
func equalFolded(s, folded string) bool {
	if len(s) != len(folded) {
		return false
	}
	for i := range len(s) {
		if lower(s[i]) != folded[i] {
			return false
		}
	}
	return true
}
