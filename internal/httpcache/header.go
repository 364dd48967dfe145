package httpcache

import (
	"net/http"
	"slices"
	"strings"
)

// hopByHop fields speak about a connection (RFC 9110, section 7.6.1). Trailer goes
// with them, as trailers are not kept.
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization",
	"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// keepable returns what to keep of an answer's header: without the fields of the
// connection, without Age, which is computed, and without what was there before the
// handler ran, which the next client gets from the same place again.
func keepable(h, before http.Header) http.Header {
	out := make(http.Header, len(h))
	for name, values := range h {
		if slices.Equal(values, before[name]) || strings.HasPrefix(name, http.TrailerPrefix) {
			continue
		}
		out[name] = slices.Clone(values)
	}
	for _, name := range hopByHop {
		delete(out, name)
	}
	for _, name := range tokens(h["Connection"]) {
		out.Del(name)
	}
	delete(out, "Age")
	delete(out, "Content-Length") // said by the length of the body
	return out
}

// replace makes dst the same as src.
func replace(dst, src http.Header) {
	for name := range dst {
		if _, ok := src[name]; !ok {
			delete(dst, name)
		}
	}
	for name, values := range src {
		dst[name] = values
	}
}

// copyTrailers gives the client the trailers that were set after the body.
func copyTrailers(dst, src http.Header) {
	for name, values := range src {
		if strings.HasPrefix(name, http.TrailerPrefix) || hasToken(src["Trailer"], name) {
			dst[name] = values
		}
	}
}
