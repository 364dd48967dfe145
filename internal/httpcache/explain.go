package httpcache

import (
	"net/http"

	"github.com/dunglas/httpsfv"
)

// explained adds to the cache's member of Cache-Status the key of the page, and why an
// answer is not kept.
type explained struct {
	http.ResponseWriter
	key, detail string
	wrote       bool
}

func explain(w http.ResponseWriter, detail string) {
	if e, ok := w.(*explained); ok {
		e.detail = detail
	}
}

func (e *explained) WriteHeader(status int) {
	if !e.wrote && (status >= 200 || status == http.StatusSwitchingProtocols) {
		e.wrote = true
		e.say()
	}
	e.ResponseWriter.WriteHeader(status)
}

func (e *explained) say() {
	lines := e.Header()["Cache-Status"]
	if len(lines) == 0 {
		return
	}
	said := lines[len(lines)-1]
	if text, err := httpsfv.Marshal(httpsfv.NewItem(e.key)); err == nil {
		said += "; key=" + text
	}
	if e.detail != "" {
		said += "; detail=" + e.detail
	}
	// A new slice: the old one may be part of a stored page.
	e.Header()["Cache-Status"] = append(lines[:len(lines)-1:len(lines)-1], said)
}

func (e *explained) Write(p []byte) (int, error) {
	if !e.wrote {
		e.WriteHeader(http.StatusOK)
	}
	return e.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach what it asks for.
func (e *explained) Unwrap() http.ResponseWriter { return e.ResponseWriter }
