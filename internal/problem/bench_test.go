package problem_test

import (
	"net/http"
	"testing"

	"flashgate"
	"flashgate/internal/problem"
)

// sink is a client that costs nothing.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }

func BenchmarkWrite(b *testing.B) {
	w := &sink{header: http.Header{}}
	var err error = &flashgate.Error{Code: flashgate.CodeSoldOut, Op: "stock_gate"}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		if problem.Write(w, err); w.status != http.StatusConflict {
			b.Fatal(w.status)
		}
	}
}
