package signedurl

import (
	"errors"
	"strings"
)

// DefaultParameter is the name of the signature's parameter in the query.
const DefaultParameter = "signature"

// CheckParameter checks the name of the signature's parameter: 1 to 32 letters, digits,
// underscores and hyphens, which no client encodes.
func CheckParameter(name string) error {
	ok := len(name) >= 1 && len(name) <= 32
	for i := range len(name) {
		ok = ok && unreserved(name[i]) && name[i] != '.' && name[i] != '~'
	}
	if !ok {
		return errors.New("must be 1 to 32 letters, digits, underscores and hyphens")
	}
	return nil
}

// taken is the signature's parameter, taken out of a query.
type taken struct {
	value string // as it was sent
	rest  string // the query without it, byte for byte
	found bool   // it is there, in whatever spelling
	once  bool   // it is there once, in plain spelling
}

// take takes the parameter out of a raw query. Parameters are what stands between two
// ampersands. A name in another spelling, or after a semicolon, where some servers end a
// parameter too, is the parameter once more: parsers disagree about which of several
// counts (CWE-235), so several never verify.
func take(query, parameter string) taken {
	var t taken
	n, plain := 0, 0
	var rest strings.Builder
	first := true
	for more := query != ""; more; {
		var part string
		part, query, more = strings.Cut(query, "&")
		i := occurrences(part, parameter)
		n += i
		if value, ok := strings.CutPrefix(part, parameter+"="); ok {
			t.value = value
			plain++
		}
		if i > 0 {
			continue
		}
		if !first {
			rest.WriteByte('&')
		}
		first = false
		rest.WriteString(part)
	}
	t.rest, t.found, t.once = rest.String(), n > 0, n == 1 && plain == 1
	return t
}

// Without is a raw query without the parameter, wherever and however often it is there.
func Without(query, parameter string) string {
	if !strings.Contains(query, "%") && !strings.Contains(query, parameter) {
		return query
	}
	return take(query, parameter).rest
}

// occurrences counts how often a part of a query names the parameter.
func occurrences(part, parameter string) (n int) {
	for sub := range strings.SplitSeq(part, ";") {
		name, _, _ := strings.Cut(sub, "=")
		if sameName(name, parameter) {
			n++
		}
	}
	return n
}

// sameName reports whether name is the parameter once it is percent-decoded.
func sameName(name, parameter string) bool {
	j := 0
	for i := 0; i < len(name); i++ {
		c := name[i]
		if hi, lo := hex(name, i+1), hex(name, i+2); c == '%' && hi < 16 && lo < 16 {
			c = hi<<4 | lo
			i += 2
		}
		if j == len(parameter) || parameter[j] != c {
			return false
		}
		j++
	}
	return j == len(parameter)
}
