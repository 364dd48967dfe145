package httpcache_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"flashgate/internal/httpcache"
)

const digits = "0123456789abcdefghij" // 20 bytes

// content is an origin that knows ranges and conditions.
func content(etag, body string, lines ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Type", "text/plain")
		if etag != "" {
			w.Header().Set("Etag", etag)
		}
		for _, l := range lines {
			name, value, _ := strings.Cut(l, ": ")
			w.Header().Set(name, value)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader([]byte(body)))
	}
}

// A part of a page that is stored whole is cut from it.
func TestRangeOfAWholePage(t *testing.T) {
	t.Parallel()
	changed := epoch.Add(-week).Format(http.TimeFormat)
	g := newRig(t, httpcache.Config{}, content(`"v"`, digits, "Last-Modified: "+changed))
	g.get("/")
	for _, c := range []struct {
		name, want, ifRange string
		status              int
		body, contentRange  string
	}{
		{"first", "bytes=0-4", "", 206, "01234", "bytes 0-4/20"},
		{"one byte", "bytes=7-7", "", 206, "7", "bytes 7-7/20"},
		{"open", "bytes=15-", "", 206, "fghij", "bytes 15-19/20"},
		{"suffix", "bytes=-3", "", 206, "hij", "bytes 17-19/20"},
		{"suffix beyond the start", "bytes=-99", "", 206, digits, "bytes 0-19/20"},
		{"end beyond the end", "bytes=18-99", "", 206, "ij", "bytes 18-19/20"},
		{"unit in capitals", "Bytes=0-0", "", 206, "0", "bytes 0-0/20"},
		{"start at the end", "bytes=20-", "", 416, "", "bytes */20"},
		{"start beyond", "bytes=50-60", "", 416, "", "bytes */20"},
		{"suffix of none", "bytes=-0", "", 416, "", "bytes */20"},
		{"backwards", "bytes=5-2", "", 200, digits, ""},
		{"another unit", "lines=0-1", "", 200, digits, ""},
		{"no bound", "bytes=-", "", 200, digits, ""},
		{"no number", "bytes=a-b", "", 200, digits, ""},
		{"two ranges", "bytes=0-1,3-4", "", 200, digits, ""},
		{"overflow", "bytes=99999999999999999999-", "", 200, digits, ""},
		{"If-Range, strong", "bytes=0-1", `"v"`, 206, "01", "bytes 0-1/20"},
		{"If-Range, weak", "bytes=0-1", `W/"v"`, 200, digits, ""},
		{"If-Range, another", "bytes=0-1", `"w"`, 200, digits, ""},
		{"If-Range, date", "bytes=0-1", changed, 206, "01", "bytes 0-1/20"},
		{"If-Range, another date", "bytes=0-1", epoch.Format(http.TimeFormat), 200, digits, ""},
		{"If-Range beyond the end", "bytes=50-", `"w"`, 200, digits, ""},
	} {
		header := []string{"Range", c.want}
		if c.ifRange != "" {
			header = append(header, "If-Range", c.ifRange)
		}
		a := g.get("/", header...)
		if a.status != c.status || a.body != c.body || a.header.Get("Content-Range") != c.contentRange || a.header.Get("Content-Length") != fmt.Sprint(len(c.body)) {
			t.Errorf("%s: %+v", c.name, a)
		}
		if !strings.Contains(a.cacheStatus(), "hit") {
			t.Errorf("%s: %q", c.name, a.cacheStatus())
		}
		if a := g.do("HEAD", "/", header...); a.status != 200 || a.header.Get("Content-Range") != "" || a.header.Get("Content-Length") != "20" {
			t.Errorf("HEAD %s: %+v", c.name, a)
		}
	}
	if a := g.get("/", "Range", "bytes=0-1", "If-None-Match", `"v"`); a.status != 304 {
		t.Errorf("the condition comes before the range: %+v", a)
	}
	g.wantAsked(1)
}

// A weak tag does not do for If-Range, even where it is the page's.
func TestIfRangeWeak(t *testing.T) {
	t.Parallel()
	g := newRig(t, httpcache.Config{}, content(`W/"v"`, digits))
	g.get("/")
	if a := g.get("/", "Range", "bytes=0-1", "If-Range", `W/"v"`); a.status != 200 || a.body != digits || !strings.Contains(a.cacheStatus(), "hit") {
		t.Errorf("%+v", a)
	}
}

// If-Range with a validator that the page does not have gives the whole.
func TestIfRangeWithoutValidator(t *testing.T) {
	t.Parallel()
	g := newRig(t, httpcache.Config{}, content("", digits))
	g.get("/")
	for _, validator := range []string{`"v"`, epoch.Format(http.TimeFormat), ""} {
		if a := g.get("/", "Range", "bytes=0-1", "If-Range", validator); a.status != 200 || a.body != digits {
			t.Errorf("%q: %+v", validator, a)
		}
	}
}

// A part is kept, parts that touch are put together, and make the whole in the end.
func TestParts(t *testing.T) {
	t.Parallel()
	g := newRig(t, httpcache.Config{}, content(`"v"`, digits))
	ask := func(want, status, body string) {
		t.Helper()
		header := []string{"Range", "bytes=" + want}
		code := 206
		if want == "" {
			header, code = nil, 200
		}
		if a := g.get("/", header...); a.status != code || a.body != body || status == "hit" && code == 200 && a.header.Get("Content-Range") != "" || !strings.HasPrefix(a.cacheStatus(), "flashgate; "+status) {
			t.Errorf("%q: %+v", want, a)
		}
	}
	ask("5-9", "fwd=uri-miss; stored", "56789")
	ask("5-9", "hit", "56789")
	ask("6-7", "hit", "67")
	ask("8-11", "fwd=partial; stored", "89ab")
	ask("5-11", "hit", "56789ab")
	ask("12-14", "fwd=partial; stored", "cde") // touches
	ask("5-14", "hit", "56789abcde")
	ask("0-4", "fwd=partial; stored", "01234") // in front
	ask("0-14", "hit", "0123456789abcde")
	ask("15-19", "fwd=partial; stored", "fghij")
	ask("", "hit", digits)
	ask("-1", "hit", "j")
	g.wantAsked(5)
}

// A part that is everything is the whole page.
func TestPartOfAll(t *testing.T) {
	t.Parallel()
	for _, want := range []string{"bytes=0-", "bytes=0-19", "bytes=-20"} {
		g := newRig(t, httpcache.Config{}, content("", digits))
		g.get("/", "Range", want)
		if a := g.get("/"); a.status != 200 || a.body != digits || a.header.Get("Content-Range") != "" || !strings.Contains(a.cacheStatus(), "hit") {
			t.Errorf("%s: %+v", want, a)
		}
	}
}

// What is not known to be of the same page, or does not touch, is not put together: the
// newer part stays.
func TestPartsApart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, tag1, tag2, body2, second string
	}{
		{"another tag", `"v"`, `"w"`, "ABCDEFGHIJKLMNOPQRST", "bytes=5-9"},
		{"weak tag", `W/"v"`, `W/"v"`, digits, "bytes=5-9"},
		{"no tag", "", "", digits, "bytes=5-9"},
		{"gap", `"v"`, `"v"`, digits, "bytes=6-9"},
		{"another size", `"v"`, `"v"`, digits + "k", "bytes=5-9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var second atomic.Bool
			g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
				if second.Load() {
					content(c.tag2, c.body2)(w, r)
				} else {
					content(c.tag1, digits)(w, r)
				}
			})
			g.get("/", "Range", "bytes=0-4")
			second.Store(true)
			g.get("/", "Range", c.second)
			if a := g.get("/", "Range", "bytes=3-7"); a.status != 206 || a.body != c.body2[3:8] || strings.Contains(a.cacheStatus(), "hit") {
				t.Errorf("%+v", a)
			}
		})
	}
}

// A client that wants the whole gets it from the stored beginning and the rest.
func TestCompleting(t *testing.T) {
	t.Parallel()
	const rest = "bytes 5-19/20"
	for _, c := range []struct {
		name         string
		status       int // of the origin's answer to the request for the rest
		contentRange string
		lines        []string
		body         string
		wantStatus   int
		wantBody     string
		wantKept     bool
	}{
		{"the rest", 206, rest, nil, digits[5:], 200, digits, true},
		{"another page", 200, "", []string{`Etag: "w"`}, "another", 200, "another", true},
		{"wrong place", 206, "bytes 6-19/20", nil, digits[6:], 502, "", false},
		{"not to the end", 206, "bytes 5-18/20", nil, digits[5:19], 502, "", false},
		{"another size", 206, "bytes 5-20/21", nil, digits[5:] + "k", 502, "", false},
		{"another tag", 206, rest, []string{`Etag: "w"`}, digits[5:], 502, "", false},
		{"no Content-Range", 206, "", nil, digits[5:], 502, "", false},
		{"416", 416, "bytes */20", nil, "", 502, "", false},
		{"the rest, private", 206, rest, []string{"Cache-Control: private"}, digits[5:], 200, digits, false},
		{"the rest, no-store", 206, rest, []string{"Cache-Control: no-store"}, digits[5:], 200, digits, false},
		{"the rest with a cookie", 206, rest, []string{"Set-Cookie: a=b"}, digits[5:], 200, digits, false},
		{"not found", 404, "", []string{"Cache-Control: no-store"}, "gone", 404, "gone", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Value
			g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("If-Range") == "" {
					content(`"v"`, digits)(w, r)
					return
				}
				asked.Store(r.Header.Get("Range") + " " + r.Header.Get("If-Range"))
				h := w.Header()
				h.Set("Cache-Control", "max-age=60")
				h.Set("Etag", `"v"`)
				if c.contentRange != "" {
					h.Set("Content-Range", c.contentRange)
				}
				fieldsOnly(w, c.lines)
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			})
			g.get("/", "Range", "bytes=0-4")
			a := g.get("/")
			if asked.Load() != `bytes=5- "v"` {
				t.Errorf("the origin was asked for %q", asked.Load())
			}
			if a.status != c.wantStatus || a.body != c.wantBody || a.header.Get("Content-Range") != "" {
				t.Errorf("%+v", a)
			}
			a = g.get("/")
			if kept := strings.Contains(a.cacheStatus(), "hit"); kept != c.wantKept {
				t.Errorf("kept: %v, %+v", kept, a)
			}
			if !c.wantKept && (a.status != 200 || a.body != digits) {
				t.Errorf("the next one: %+v", a)
			}
		})
	}
}

func fieldsOnly(w http.ResponseWriter, lines []string) {
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		w.Header().Set(name, value)
	}
}

// A page that is too large to be kept is completed for the client all the same.
func TestCompletingTooLarge(t *testing.T) {
	t.Parallel()
	for _, limit := range []int64{10, 17} { // the rest alone is too large; only the whole is
		g := newRig(t, httpcache.Config{MaxBody: limit}, content(`"v"`, digits))
		g.get("/", "Range", "bytes=0-4")
		for range 2 {
			if a := g.get("/"); a.status != 200 || a.body != digits || a.header.Get("Content-Range") != "" {
				t.Errorf("limit %d: %+v", limit, a)
			}
		}
	}
}

// Partial content whose length is not what it says is passed, not kept.
func TestMalformedParts(t *testing.T) {
	t.Parallel()
	for _, contentRange := range []string{"bytes 0-9/20", "bytes 0-4/*", "bytes 0-4/3", "bytes 4-0/20", "lines 0-4/20", "", "bytes 0-4"} {
		g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
			fieldsOnly(w, []string{"Cache-Control: max-age=60", `Etag: "v"`, "Content-Range: " + contentRange})
			w.WriteHeader(206)
			fmt.Fprint(w, "01234")
		})
		for range 2 {
			if a := g.get("/", "Range", "bytes=0-4"); a.status != 206 || a.body != "01234" || strings.Contains(a.cacheStatus(), "hit") {
				t.Errorf("%q: %+v", contentRange, a)
			}
		}
	}
}

// Whatever is asked for in whatever order: the client gets the bytes that the origin's
// own server would cut from the version whose tag the answer has.
func TestRangesProperty(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 1))
		version := 0
		page := func(v int) http.HandlerFunc {
			return content(fmt.Sprintf(`"%d"`, v), strings.Repeat(string(rune('A'+v%26)), v%5)+digits+fmt.Sprint(v))
		}
		g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) { page(version)(w, r) })
		for step := range 60 {
			if random.IntN(12) == 0 {
				version++
			}
			g.clock.advance(time.Duration(random.IntN(15)) * time.Second)
			method, header := "GET", []string(nil)
			if random.IntN(6) == 0 {
				method = "HEAD"
			}
			a, b := random.IntN(28), random.IntN(28)
			switch random.IntN(4) {
			case 0:
				header = []string{"Range", fmt.Sprintf("bytes=%d-%d", min(a, b), max(a, b))}
			case 1:
				header = []string{"Range", fmt.Sprintf("bytes=%d-", a)}
			case 2:
				header = []string{"Range", fmt.Sprintf("bytes=-%d", a+1)}
			}
			if header != nil && random.IntN(4) == 0 {
				header = append(header, "If-Range", fmt.Sprintf(`"%d"`, max(0, version-random.IntN(2))))
			}
			got := g.do(method, "/", header...)
			v := -1
			if _, err := fmt.Sscanf(got.header.Get("Etag"), `"%d"`, &v); err != nil && got.status != 416 {
				t.Fatalf("seed %d, step %d: %+v", seed, step, got)
			}
			if got.status == 416 && v < 0 {
				continue // the origin's own, which has no tag
			}
			want := httptest.NewRecorder()
			r := httptest.NewRequest(method, "/", nil)
			for i := 0; method == "GET" && i+1 < len(header); i += 2 {
				r.Header.Set(header[i], header[i+1])
			}
			page(v)(want, r)
			if got.status == 416 && want.Code == 416 {
				continue
			}
			if method == "HEAD" {
				if got.header.Get("Content-Range") == "" && got.body != "" {
					t.Fatalf("seed %d, step %d: %+v", seed, step, got)
				}
				continue
			}
			if got.status == 200 && !strings.Contains(got.cacheStatus(), "hit") {
				// A stored page was to be validated; its successor comes whole.
				want = httptest.NewRecorder()
				page(v)(want, httptest.NewRequest(method, "/", nil))
			}
			if got.status != want.Code || got.body != want.Body.String() || got.header.Get("Content-Range") != want.Header().Get("Content-Range") {
				t.Fatalf("seed %d, step %d, %v: %+v, want %d %q", seed, step, header, got, want.Code, want.Body)
			}
		}
	}
}
