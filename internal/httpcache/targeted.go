package httpcache

import (
	"net/http"
	"strconv"

	"github.com/dunglas/httpsfv"
)

// targetedFields are the fields that speak to this cache alone, the first one that can
// be used wins (RFC 9213, section 2.2).
var targetedFields = []string{"Cdn-Cache-Control"}

// wholeNumbers are the directives whose argument is an Integer in a targeted field.
var wholeNumbers = []string{"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"}

// controlOf returns the directives that this cache goes by. targeted reports that they
// are of a targeted field, beside which Cache-Control, Expires and Pragma say nothing.
func controlOf(h http.Header) (cc Directives, targeted bool) {
	for _, field := range targetedFields {
		if lines := h[field]; len(lines) > 0 {
			if d := parseTargeted(lines); len(d) > 0 {
				return d, true
			}
		}
	}
	return ParseCacheControl(h), false
}

// parseTargeted reads a Dictionary (RFC 9651, section 3.2). One that cannot be parsed,
// that is empty or has an argument of the wrong type is as good as not there
// (RFC 9213, section 2.1).
func parseTargeted(lines []string) Directives {
	dict, err := httpsfv.UnmarshalDictionary(lines)
	if err != nil {
		return nil
	}
	d := Directives{}
	for _, name := range dict.Names() {
		member, _ := dict.Get(name)
		item, ok := member.(httpsfv.Item)
		if !ok {
			d[name] = unreadable
			continue
		}
		switch v := item.Value.(type) {
		case bool:
			if v {
				d[name] = ""
			}
		case int64:
			d[name] = strconv.FormatInt(v, 10)
		case string:
			d[name] = v
		case httpsfv.Token:
			d[name] = string(v)
		default:
			d[name] = unreadable
		}
	}
	for _, name := range wholeNumbers {
		if arg, ok := d[name]; ok {
			if _, ok := parseDelta(arg); !ok {
				return nil
			}
			if item, _ := dict.Get(name); !isInteger(item) {
				return nil
			}
		}
	}
	return d
}

func isInteger(m httpsfv.Member) bool {
	item, ok := m.(httpsfv.Item)
	if !ok {
		return false
	}
	_, ok = item.Value.(int64)
	return ok
}
