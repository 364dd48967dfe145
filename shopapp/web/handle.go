package web

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"flashgate"
	"flashgate/internal/problem"

	"go.uber.org/zap"
)

// handle is the one error handler of the shop: a route returns its error, and here
// it becomes a problem document or an error page, and a line in the log when it is
// the shop's own fault.
func (s *Server) handle(route func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := route(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := flashgate.Info(flashgate.ErrorCode(err)).Status
	if status >= 500 && r.Context().Err() == nil {
		s.log.Error("request failed", zap.String("request_id", w.Header().Get(requestID)), zap.String("method", r.Method),
			zap.String("path", r.URL.Path), zap.Int("status", status), zap.Error(err))
	}
	if isAPI(r) {
		problem.Write(w, err)
		return
	}
	s.errorPage(w, err)
}

func isAPI(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/api/") || r.URL.Path == "/healthz" || r.URL.Path == "/readyz"
}

const requestID = "X-Request-Id"

// guard gives every request an id and turns a panic into an internal error.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(requestID, rand.Text())
		sent := &sentWriter{ResponseWriter: w}
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler {
				panic(v)
			}
			s.log.Error("panic", zap.String("request_id", w.Header().Get(requestID)), zap.Any("value", v), zap.ByteString("stack", debug.Stack()))
			if sent.wrote {
				panic(http.ErrAbortHandler) // half an answer must not look like a whole one
			}
			s.fail(w, r, &flashgate.Error{Code: flashgate.CodeInternal, Op: "web", Err: fmt.Errorf("panic: %v", v)})
		}()
		next.ServeHTTP(sent, r)
	})
}

// sentWriter knows whether an answer has begun.
type sentWriter struct {
	http.ResponseWriter
	wrote bool
}

func (w *sentWriter) WriteHeader(status int) {
	w.wrote = true
	w.ResponseWriter.WriteHeader(status)
}

func (w *sentWriter) Write(b []byte) (int, error) {
	w.wrote = true
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach Flush and deadlines.
func (w *sentWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// maxBody bounds the body of every request, in bytes.
const maxBody = 64 << 10

// decode reads a JSON object strictly into v: no unknown member, nothing behind it.
func decode(w http.ResponseWriter, r *http.Request, v any) error {
	const op = "web.decode"
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil && d.More() {
		err = errors.New("there is more than one value")
	}
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return flashgate.Errorf(flashgate.CodeTooLarge, op, "At most %d bytes are allowed.", maxBody)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && e.Field != "" {
		return flashgate.Invalid(op, e.Field, "must be %s, not %s", kind(e.Type.String()), e.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return flashgate.Invalid(op, strings.Trim(name, `"`), "is not known here")
	}
	return &flashgate.Error{Code: flashgate.CodeInvalid, Op: op, Field: "body", Message: "must be one JSON object", Err: err}
}

// kind names a Go type in words of JSON.
func kind(goType string) string {
	switch goType {
	case "string":
		return "a string"
	case "bool":
		return "true or false"
	case "time.Time":
		return "a time such as 2026-11-23T10:00:00Z"
	default:
		return "a whole number"
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return &flashgate.Error{Code: flashgate.CodeInternal, Op: "web.writeJSON", Err: err}
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away is its own business
	return nil
}
