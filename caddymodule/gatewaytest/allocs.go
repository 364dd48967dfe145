package gatewaytest

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Sink takes an answer and keeps nothing of it but the header and the status, so that it
// costs nothing itself.
type Sink struct {
	Fields http.Header
	Status int
}

// Header is part of http.ResponseWriter.
func (s *Sink) Header() http.Header { return s.Fields }

// WriteHeader is part of http.ResponseWriter.
func (s *Sink) WriteHeader(status int) { s.Status = status }

// Write is part of http.ResponseWriter.
func (s *Sink) Write(b []byte) (int, error) { return len(b), nil }

// Allocs is how many allocations an answer takes. What else goes on in the process is
// counted along, so it is the fewest of several rounds. It cannot be used in a parallel
// test.
func Allocs(t testing.TB, status int, answer func(http.ResponseWriter) error) float64 {
	t.Helper()
	s := &Sink{Fields: http.Header{}}
	fewest := -1.0
	for range 5 {
		n := testing.AllocsPerRun(200, func() {
			clear(s.Fields)
			s.Status = 0
			if err := answer(s); err != nil || s.Status != status {
				t.Fatalf("%d, %v", s.Status, err)
			}
		})
		if fewest < 0 || n < fewest {
			fewest = n
		}
	}
	return fewest
}

// RespondAllocs is how many Caddy's own `respond` takes to give the same answer. Its
// Content-Length is left to the server.
func RespondAllocs(t testing.TB, r *http.Request, same *httptest.ResponseRecorder) float64 {
	t.Helper()
	header := same.Header().Clone()
	header.Del("Content-Length")
	respond := caddyhttp.StaticResponse{
		StatusCode: caddyhttp.WeakString(strconv.Itoa(same.Code)), Body: same.Body.String(), Headers: header,
	}
	return Allocs(t, same.Code, func(w http.ResponseWriter) error { return respond.ServeHTTP(w, r, nil) })
}
