package httpcache_test

import (
	"net/http"
	"testing"
	"time"

	"flashgate/internal/httpcache"
)

var dates = []struct {
	text string
	want string // RFC 3339; empty: no date
}{
	{"Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z"},
	{"Sunday, 06-Nov-94 08:49:37 GMT", "1994-11-06T08:49:37Z"},
	{"Sun Nov  6 08:49:37 1994", "1994-11-06T08:49:37Z"},
	{"Wed Nov 16 08:49:37 1994", "1994-11-16T08:49:37Z"},
	{"SUN, 06 nov 1994 08:49:37 gmt", "1994-11-06T08:49:37Z"},
	{"Thu, 29 Feb 2024 00:00:00 GMT", "2024-02-29T00:00:00Z"},
	// Two digits: at most fifty years ahead, else of the past.
	{"Tuesday, 03-Mar-76 05:06:07 GMT", "2076-03-03T05:06:07Z"},
	{"Wednesday, 04-Mar-76 05:06:08 GMT", "1976-03-04T05:06:08Z"},
	{"Sunday, 01-Jan-77 00:00:00 GMT", "1977-01-01T00:00:00Z"},
	{"Thursday, 29-Feb-24 00:00:00 GMT", "2024-02-29T00:00:00Z"},
	{"Sunday, 29-Feb-80 00:00:00 GMT", "1980-02-29T00:00:00Z"},

	{"", ""}, {"0", ""}, {"-1", ""}, {"now", ""},
	{"Sun, 06 Nov 1994 08:49:37 UTC", ""},
	{"Sun, 06 Nov 1994 08:49:37 AEST", ""},
	{"Sun, 06 Nov 1994 08:49:37 +00", ""},
	{"Sun, 06 Nov 1994 08:49:37", ""},
	{"Sun 06 Nov 1994 08:49:37 GMT", ""},
	{"Sun,  06 Nov 1994 08:49:37 GMT", ""},
	{"Sun, 06  Nov 1994 08:49:37 GMT", ""},
	{"Sun, 06-Nov-1994 08:49:37 GMT", ""},
	{"Sun, 6 Nov 1994 08:49:37 GMT", ""},
	{"Sun, 06 Nov 1994 8:49:37 GMT", ""},
	{"Sun, 06 Nov 94 08:49:37 GMT", ""},
	{"Sun, 06 Nov 1994 08:49 GMT", ""},
	{"Sun, 06 Nov 1994 24:00:00 GMT", ""},
	{"Sun, 31 Feb 1994 08:49:37 GMT", ""},
	{"Sun, 06 Foo 1994 08:49:37 GMT", ""},
	{"Sun, 06 Nov 1994 08:49:37 GMT ", ""},
	{"Sun, 06 Nov 1994 08:49:37 GMTx", ""},
	{" Sun, 06 Nov 1994 08:49:37 GMT", ""},
	{"Sun, 06-Nov-94 08:49:37 GMT", ""},
	{"Sunday, 06-Nov-94 08:49:37 UTC", ""},
	{"Sunday, 06-Nov-94 08:49:37 GMT;", ""},
	{"Someday, 06-Nov-94 08:49:37 GMT", ""},
	{"Sun Nov 6 08:49:37 1994", ""},
	{"Sun Nov  6 08:49:37 1994 GMT", ""},
	{"1994-11-06T08:49:37Z", ""},
}

func TestParseDate(t *testing.T) {
	t.Parallel()
	for _, c := range dates {
		got, ok := httpcache.ParseDate(c.text, epoch)
		if ok != (c.want != "") || ok && got.Format(time.RFC3339) != c.want {
			t.Errorf("%q: %v %v, want %q", c.text, got, ok, c.want)
		}
	}
}

// What is read as a date is an instant that the preferred form says again, and is not
// more than fifty years ahead unless all four digits say so.
func FuzzParseDate(f *testing.F) {
	for _, c := range dates {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := httpcache.ParseDate(text, epoch)
		if !ok {
			return
		}
		again, ok := httpcache.ParseDate(got.Format(http.TimeFormat), epoch)
		if !ok || !again.Equal(got) {
			t.Errorf("%q: %v, again %v", text, got, again)
		}
	})
}
