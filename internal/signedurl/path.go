package signedurl

import "strings"

// canonical is the one form of a path that is signed, and why the path has none.
//
// Two spellings mean the same path only where RFC 3986 says so: a percent-encoded letter,
// digit, `-`, `.`, `_` or `~` is the character itself (section 6.2.2.2), and the case of
// hexadecimal digits does not matter (section 6.2.2.1). What may not stand in a path as it
// is counts as encoded, as clients send it. An encoded delimiter is not the delimiter
// (section 2.2): to some origins `a;b` is the file `a` with a parameter, `a%3Bb` is not.
// The case of letters and a trailing slash make another path.
//
// A path that servers read in more than one way has no form, so nothing vouches for it:
// encoded slashes and backslashes are separators to some and not to others, empty and dot
// segments are removed by some (section 5.2.4) and looked up by others, also when a
// parameter follows them (`..;`), and control characters end a name early (CWE-158).
func canonical(sent string) (path, problem string) {
	if !strings.HasPrefix(sent, "/") {
		return "", "does not start with a slash"
	}
	b := make([]byte, 0, len(sent)+16)
	start := 1 // of the segment in b
	for i := 0; i < len(sent); i++ {
		c, encoded := sent[i], false
		if c == '%' {
			hi, lo := hex(sent, i+1), hex(sent, i+2)
			if hi > 15 || lo > 15 {
				return "", "has a % that is not followed by two hexadecimal digits"
			}
			c, encoded = hi<<4|lo, true
			i += 2
		}
		switch {
		case c == '/' && encoded:
			return "", "has an encoded slash"
		case c == '\\':
			return "", "has a backslash"
		case c < ' ' || c == 0x7f:
			return "", "has a control character"
		case (c == '#' || c == '?') && !encoded:
			return "", "has a # or a ? that is not encoded"
		case c == '/':
			if i > 0 {
				if problem := checkSegment(b[start:]); problem != "" {
					return "", problem
				}
				if len(b) == start {
					return "", "has an empty segment"
				}
			}
			b = append(b, '/')
			start = len(b)
		case unreserved(c) || !encoded && delimiter(c):
			b = append(b, c)
		default:
			const digits = "0123456789ABCDEF"
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	if problem := checkSegment(b[start:]); problem != "" {
		return "", problem
	}
	return string(b), ""
}

// checkSegment refuses dot segments. Some origins take a parameter off before they look.
func checkSegment(segment []byte) string {
	name := string(segment)
	name, _, _ = strings.Cut(name, ";")
	name, _, _ = strings.Cut(name, "%3B")
	if name == "." || name == ".." {
		return "has a dot segment"
	}
	return ""
}

// unreserved are the characters that mean the same with and without percent-encoding
// (RFC 3986, section 2.3).
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// delimiter are the other characters that may stand in a segment as they are (section 3.3).
func delimiter(c byte) bool { return strings.IndexByte("!$&'()*+,;=:@", c) >= 0 }

// hex is the value of the hexadecimal digit at i, or 16.
func hex(s string, i int) byte {
	if i >= len(s) {
		return 16
	}
	switch c := s[i]; {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	default:
		return 16
	}
}
