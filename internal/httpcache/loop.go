package httpcache

import (
	"net/http"
	"strings"
)

// loopField names the caches that a request has come through (RFC 8586). A request that
// comes back to where it was sent from would wait for its own answer.
const loopField = "Cdn-Loop"

// loops reports whether a request was sent by one who shares the flights.
func (s *Flights) loops(h http.Header) bool {
	for _, line := range h[loopField] {
		if strings.Contains(line, s.id) {
			return true
		}
	}
	return false
}

// sign adds the name to a header of its own.
func (s *Flights) sign(h http.Header) {
	lines := h[loopField]
	h[loopField] = append(lines[:len(lines):len(lines)], s.id)
}
