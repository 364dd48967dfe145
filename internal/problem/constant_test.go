package problem_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/problem"
)

// A constant answer is the one that Write gives, with its length and the fields asked for.
func TestConstantIsWhatWriteWrites(t *testing.T) {
	t.Parallel()
	for _, code := range []flashgate.Code{flashgate.CodeSoldOut, flashgate.CodeEnded, flashgate.CodeNotStarted, flashgate.CodePathInvalid} {
		for _, after := range []time.Duration{0, 1, time.Second, 90*time.Second + 1, 200 * time.Hour} {
			c := problem.NewConstant(&flashgate.Error{Code: code, Message: "Why."}, "Referrer-Policy", "no-referrer")
			got, want := httptest.NewRecorder(), httptest.NewRecorder()
			for _, h := range []http.Header{got.Header(), want.Header()} {
				h["Etag"], h["Content-Length"] = []string{`"of another"`}, []string{"9"}
			}
			c.Write(got, after)
			problem.Write(want, &flashgate.Error{Code: code, Message: "Why.", RetryAfter: after})
			want.Header().Set("Content-Length", strconv.Itoa(want.Body.Len()))
			want.Header().Set("Referrer-Policy", "no-referrer")
			if got.Code != want.Code || c.Status() != want.Code || got.Body.String() != want.Body.String() ||
				!maps.EqualFunc(got.Header(), want.Header(), func(a, b []string) bool { return len(a) == 1 && len(b) == 1 && a[0] == b[0] }) {
				t.Errorf("%s after %s: %d %v %s, want %d %v %s", code, after, got.Code, got.Header(), got.Body, want.Code, want.Header(), want.Body)
			}
		}
	}
}

// Whoever changes the header of one answer, as Caddy's directive header does in place,
// changes no other, and who adds a value no other field.
func TestConstantHeadersAreTheAnswersOwn(t *testing.T) {
	t.Parallel()
	c := problem.NewConstant(&flashgate.Error{Code: flashgate.CodeSoldOut})
	first := httptest.NewRecorder()
	c.Write(first, time.Second)
	for name := range first.Header() {
		first.Header()[name][0] = "changed"
		if n := append(first.Header()[name], "added"); len(n) != 2 {
			t.Fatal(n)
		}
	}
	for name, values := range first.Header() {
		if len(values) != 1 || values[0] != "changed" {
			t.Errorf("%s is %q", name, values)
		}
	}
	second := httptest.NewRecorder()
	c.Write(second, time.Second)
	for name, values := range second.Header() {
		if values[0] == "changed" {
			t.Errorf("%s is the first answer's", name)
		}
	}
}

type nobody struct{ header http.Header }

func (n nobody) Header() http.Header         { return n.header }
func (n nobody) WriteHeader(int)             {}
func (n nobody) Write(b []byte) (int, error) { return len(b), nil }

func TestConstantAllocations(t *testing.T) {
	c := problem.NewConstant(&flashgate.Error{Code: flashgate.CodeNotStarted}, "Referrer-Policy", "no-referrer")
	w := nobody{http.Header{}}
	if n := testing.AllocsPerRun(100, func() { clear(w.header); c.Write(w, time.Minute) }); n > 1 {
		t.Errorf("%.0f allocations, want 1 for the header's values", n)
	}
}
