package httpcache

import (
	"net/http"
	"strings"
	"time"
)

// The three forms of an HTTP-date (RFC 9110, section 5.6.7): A stands for a letter, 0
// for a digit, _ for a digit or a space.
const (
	imfFixdate = "Aaa, 00 Aaa 0000 00:00:00 AAA"
	rfc850Rest = "00-Aaa-00 00:00:00 AAA"
	asctime    = "Aaa Aaa _0 00:00:00 0000"
)

// parseDate reads an HTTP-date. Names and the zone have no case, as a recipient may
// have it; all else must be as the grammar says, or a cache nearer to the client could
// see another date.
func parseDate(s string, now time.Time) (time.Time, bool) {
	switch {
	case shaped(s, imfFixdate):
		return parseGMT(http.TimeFormat, s)
	case shaped(s, asctime):
		t, err := time.Parse(time.ANSIC, s)
		return t, err == nil
	}
	_, rest, ok := strings.Cut(s, ", ")
	if !ok || !shaped(rest, rfc850Rest) {
		return time.Time{}, false
	}
	t, ok := parseGMT("Monday, 02-Jan-06 15:04:05 GMT", s)
	if !ok {
		return time.Time{}, false
	}
	// Two digits of a year that seem to be more than fifty years ahead are of the past.
	year := now.Year() - now.Year()%100 + t.Year()%100
	t = t.AddDate(year-t.Year(), 0, 0)
	if t.After(now.AddDate(50, 0, 0)) {
		t = t.AddDate(-100, 0, 0)
	}
	return t, true
}

func parseGMT(layout, s string) (time.Time, bool) {
	zone := len(s) - len("GMT")
	if !strings.EqualFold(s[zone:], "GMT") {
		return time.Time{}, false
	}
	t, err := time.Parse(layout, s[:zone]+"GMT")
	return t, err == nil
}

func shaped(s, shape string) bool {
	if len(s) != len(shape) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		digit := c >= '0' && c <= '9'
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		switch shape[i] {
		case 'A', 'a':
			if !letter {
				return false
			}
		case '0':
			if !digit {
				return false
			}
		case '_':
			if !digit && c != ' ' {
				return false
			}
		default:
			if c != shape[i] {
				return false
			}
		}
	}
	return true
}
