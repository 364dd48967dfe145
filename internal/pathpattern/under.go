package pathpattern

import (
	"slices"
	"strings"
)

// The bounds of the search for readings. A path beyond them is nobody's honest
// request, and the guard fails closed: it counts as under.
const (
	maxDecodes  = 3    // percent-decodings, one after the other
	maxReadings = 32   // different readings between two decodings
	maxOddPath  = 4096 // bytes of a path with anything to normalise in it
)

// Under reports whether some origin could take the path for the parent of the
// pattern's last segment, or for something below it. It ignores the method. A
// guard refuses what is under and was not let in by Match: wrong answers must be
// refusals, so Under rather says yes.
//
// Origins differ in what they normalise and in which order, and a proxy between
// may do it once more. So Under does not normalise the path once; it tries every
// reading that these steps give in any order: percent-decoding (at most three
// times), overlong UTF-8 and full-width characters to ASCII, backslash to slash, cutting
// `;` parameters, cutting at a NUL, `?` or `#` that a decoding laid bare, joining double
// slashes, resolving dot segments. In each reading it ignores case, a trailing slash, and
// dots, blanks and control characters at a segment's end.
//
// A path without any of these costs one walk and no allocation. One with so many
// that the search would not end soon counts as under.
func (p *Pattern) Under(escapedPath string) bool { return anyReading(escapedPath, p.covers) }

// Like reports whether some origin could take the path for the pattern's own, in any
// spelling that Under knows, also with a trailing slash. It ignores the method. A guard
// refuses what is like the pattern and was not let in by Match.
func (p *Pattern) Like(escapedPath string) bool { return anyReading(escapedPath, p.is) }

// anyReading reports whether ok says yes to any reading of a path.
func anyReading(escapedPath string, ok func(string) bool) bool {
	if ok(escapedPath) {
		return true
	}
	if plain(escapedPath) {
		return false
	}
	if len(escapedPath) > maxOddPath {
		return true
	}
	readings := []string{escapedPath}
	for decodes := 0; len(readings) > 0; decodes++ {
		var complete bool
		if readings, complete = spread(readings); !complete {
			return true
		}
		if slices.ContainsFunc(readings, ok) {
			return true
		}
		if decodes == maxDecodes {
			return false
		}
		readings = decodeAll(readings)
	}
	return false
}

// covers reports whether a path, read as it stands, is the pattern's parent or
// starts with it.
func (p *Pattern) covers(path string) bool {
	_, ok := starts(path, p.segments[:len(p.segments)-1])
	return ok
}

// is reports whether a path, read as it stands, is the pattern's.
func (p *Pattern) is(path string) bool {
	rest, ok := starts(path, p.segments)
	return ok && strings.Trim(rest, "/. ") == ""
}

// starts reports whether a path starts with segments, and what is left of it.
func starts(path string, segments []segment) (rest string, ok bool) {
	rest = strings.TrimPrefix(path, "/")
	more := true
	for i := range segments {
		if !more {
			return "", false
		}
		var part string
		part, rest, more = strings.Cut(rest, "/")
		if !segments[i].mayBe(part, more) {
			return "", false
		}
	}
	return rest, true
}

// mayBe reports whether an origin could take part for this segment. An empty part
// may stand for a name only in front of another slash: a trailing slash does not
// open a segment.
func (s *segment) mayBe(part string, more bool) bool {
	if s.name != "" {
		return part != "" || more
	}
	return equalFolded(part, s.folded) || strings.EqualFold(trimTail(part), s.loose)
}

// trimTail takes off what origins ignore at a name's end: file systems dots and blanks,
// frameworks that trim all white space, and some any control character.
func trimTail(part string) string {
	end := len(part)
	for end > 0 && (part[end-1] <= ' ' || part[end-1] == '.' || part[end-1] == 0x7f) {
		end--
	}
	return part[:end]
}

// plain reports whether a path has one reading only.
func plain(path string) bool {
	return !strings.ContainsAny(path, "%\\;?#\x00") &&
		!strings.Contains(path, "//") && !strings.Contains(path, "/.") && !strings.HasPrefix(path, ".")
}

// steps are what an origin may do to a path between two decodings, in any order.
// Each leaves a path alone that it has nothing to do to.
var steps = [...]func(string) string{
	narrow,
	func(path string) string { return strings.ReplaceAll(path, `\`, "/") },
	cutParams,
	cutQuery,
	joinSlashes,
	resolveDots,
}

// spread adds to readings whatever the steps make of them, until nothing new
// comes up. It gives up, with complete false, beyond maxReadings.
func spread(readings []string) (all []string, complete bool) {
	for i := 0; i < len(readings); i++ {
		for _, step := range steps {
			next := step(readings[i])
			if slices.Contains(readings, next) {
				continue
			}
			if len(readings) == maxReadings {
				return readings, false
			}
			readings = append(readings, next)
		}
	}
	return readings, true
}

// decodeAll is the readings decoded once more. Those that have nothing to decode
// are left out: they have been looked at.
func decodeAll(readings []string) []string {
	var decoded []string
	for _, r := range readings {
		if d := unescape(r); d != r && !slices.Contains(decoded, d) {
			decoded = append(decoded, d)
		}
	}
	return decoded
}

func cutParams(path string) string {
	if strings.IndexByte(path, ';') < 0 {
		return path
	}
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i], _, _ = strings.Cut(part, ";")
	}
	return strings.Join(parts, "/")
}

func cutQuery(path string) string {
	if i := strings.IndexAny(path, "?#\x00"); i >= 0 {
		return path[:i]
	}
	return path
}

func joinSlashes(path string) string {
	if !strings.Contains(path, "//") {
		return path
	}
	b := make([]byte, 0, len(path))
	for i := range len(path) {
		if path[i] != '/' || i == 0 || path[i-1] != '/' {
			b = append(b, path[i])
		}
	}
	return string(b)
}

// resolveDots removes dot segments (RFC 3986, section 5.2.4). An empty segment is
// one that `..` takes away; origins that join slashes first are the other order of
// the steps.
func resolveDots(path string) string {
	if !strings.Contains(path, ".") {
		return path
	}
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	kept := parts[:0]
	for i, part := range parts {
		last := i == len(parts)-1
		switch part {
		case ".":
		case "..":
			kept = kept[:max(len(kept)-1, 0)]
		default:
			kept = append(kept, part)
			continue
		}
		if last {
			kept = append(kept, "") // `/a/.` and `/a/b/..` are `/a/`
		}
	}
	return "/" + strings.Join(kept, "/")
}

// unescape decodes each valid percent-encoding once and leaves the others alone,
// as lenient origins do.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if c, ok := unhex(s[i:]); ok {
			b = append(b, c)
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

// unhex reads the percent-encoding at the start of s.
func unhex(s string) (byte, bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	hi, lo := hexDigit(s[1]), hexDigit(s[2])
	return hi<<4 | lo, hi < 16 && lo < 16
}

// hexDigit is the value of a hexadecimal digit, or 16.
func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= lower(c) && lower(c) <= 'f':
		return lower(c) - 'a' + 10
	default:
		return 16
	}
}
