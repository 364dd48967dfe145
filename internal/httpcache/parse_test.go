package httpcache_test

import (
	"maps"
	"net/http"
	"reflect"
	"testing"
	"time"

	"flashgate/internal/httpcache"
)

func TestParseCacheControl(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lines []string
		want  httpcache.Directives
	}{
		{nil, nil},
		{[]string{""}, httpcache.Directives{}},
		{[]string{" , ,"}, httpcache.Directives{}},
		{[]string{"no-store"}, httpcache.Directives{"no-store": ""}},
		{[]string{"Public , MAX-AGE=5"}, httpcache.Directives{"public": "", "max-age": "5"}},
		{[]string{"max-age=5", "no-cache"}, httpcache.Directives{"max-age": "5", "no-cache": ""}},
		{[]string{`private="Set-Cookie, X-A", max-age="7"`}, httpcache.Directives{"private": "Set-Cookie, X-A", "max-age": "7"}},
		{[]string{`x="a\"b, no-store", y`}, httpcache.Directives{"x": `a"b, no-store`, "y": ""}},
		{[]string{`x="never, no-store`}, httpcache.Directives{"x": "never, no-store"}},
		{[]string{`x="a" junk, no-store`}, httpcache.Directives{"x": "a", "no-store": ""}},
		{[]string{"max-age=5, max-age=5"}, httpcache.Directives{"max-age": "5"}},
		{[]string{"max-age=5, max-age=6"}, httpcache.Directives{"max-age": "?"}},
		{[]string{"=5, no-store"}, httpcache.Directives{"no-store": ""}},
	} {
		if got := httpcache.ParseCacheControl(http.Header{"Cache-Control": c.lines}); !maps.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.lines, got, c.want)
		}
	}
}

func TestSeconds(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]time.Duration{
		"0": 0, "60": time.Minute, "007": 7 * time.Second, "": 0, "-1": 0, "+1": 0, "1.5": 0, "1e3": 0, "x": 0,
		"2147483648": 1 << 31 * time.Second, "2147483649": 1 << 31 * time.Second, "99999999999999999999999": 1 << 31 * time.Second,
	} {
		if got, ok := (httpcache.Directives{"max-age": arg}).Seconds("max-age"); got != want || !ok {
			t.Errorf("%q: %v, %v", arg, got, ok)
		}
	}
}

// Whatever a field says, a plain no-store in a line of its own is seen, times are in
// range, and reading what was read changes nothing.
func FuzzParseCacheControl(f *testing.F) {
	for _, s := range []string{"", "max-age=1", `private="a, b", s-maxage="9"`, `x="\`, "a=,b=;", "max-age=99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		d := httpcache.ParseCacheControl(http.Header{"Cache-Control": {line, "no-store"}})
		if !d.Has("no-store") {
			t.Errorf("%q hides no-store: %q", line, d)
		}
		again := httpcache.ParseCacheControl(http.Header{"Cache-Control": {line, line, "no-store"}})
		for name := range d {
			s, ok := d.Seconds(name)
			if !ok || s < 0 || s > 1<<31*time.Second {
				t.Errorf("%q: %s is %v", line, name, s)
			}
			if twice, _ := again.Seconds(name); twice > s {
				t.Errorf("%q twice makes %s more", line, name)
			}
		}
	})
}

func TestForm(t *testing.T) {
	t.Parallel()
	e := httpcache.Stored{
		Born: epoch, Lifetime: time.Hour, SWR: time.Minute, Shared: true, Status: 200,
		Header: http.Header{"Content-Type": {"text/html"}, "X": {"a", "", "b"}, "Empty": {}}, Body: []byte("page\x00"),
	}
	b := httpcache.Encode(e)
	got, err := httpcache.Decode(b)
	if err != nil || !got.Born.Equal(e.Born) {
		t.Fatal(err, got)
	}
	got.Born = e.Born
	if !reflect.DeepEqual(got, e) {
		t.Errorf("%+v, want %+v", got, e)
	}
	for i := range b {
		if _, err := httpcache.Decode(b[:i]); err == nil {
			t.Errorf("the first %d bytes were taken for all", i)
		}
	}
	if _, err := httpcache.Decode(append(b, 0)); err == nil {
		t.Error("a byte too much was taken")
	}
	b[0]++
	if _, err := httpcache.Decode(b); err == nil {
		t.Error("another version was taken")
	}
}

// What can be read is written and read the same.
func FuzzDecode(f *testing.F) {
	f.Add(httpcache.Encode(httpcache.Stored{Born: epoch, Lifetime: time.Hour, Status: 200, Header: http.Header{"A": {"b"}}, Body: []byte("x")}))
	f.Add([]byte{1, 2, 7, 1, 1, 'A'})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := httpcache.Decode(b)
		if err != nil {
			return
		}
		again, err := httpcache.Decode(httpcache.Encode(e))
		if err != nil || !reflect.DeepEqual(e, again) {
			t.Errorf("%+v, then %+v, %v", e, again, err)
		}
	})
}
