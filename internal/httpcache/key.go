package httpcache

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strings"
)

// maxKey bounds the length of a URI that is kept: 8 KiB. A longer one passes.
const maxKey = 8 << 10

// Key names the page of a request: scheme, host in lower case, escaped path and raw
// query, as in "https://shop.example/goods/1?color=red".
func Key(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	key := scheme + "://" + strings.ToLower(r.Host) + path
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		key += "?" + r.URL.RawQuery
	}
	return key
}

// variantKey names one variant of a URI: its generation and what the request says in
// the fields that the answer varies by (RFC 9111, section 4.1), as a hash.
func variantKey(key string, v variants, h http.Header) string {
	sum := sha256.New()
	var b []byte
	for _, name := range v.names {
		b = appendText(b[:0], name)
		values, ok := h[name]
		if !ok {
			b = append(b, 0) // absent is not the same as empty
		} else {
			b = appendText(append(b, 1), normal(name, values))
		}
		sum.Write(b)
	}
	b = binary.AppendUvarint(b[:0], v.generation)
	sum.Write(b)
	return key + " " + base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:16])
}

// normal makes one text of a field: lines joined, space around commas gone. The
// codings of Accept-Encoding have no case (RFC 9110, section 8.4.1).
func normal(name string, values []string) string {
	s := strings.Join(tokens(values), ",")
	if name == "Accept-Encoding" {
		s = strings.ToLower(s)
	}
	return s
}

// agree reports whether two requests get the same variant.
func agree(names []string, a, b http.Header) bool {
	for _, name := range names {
		x, inA := a[name]
		y, inB := b[name]
		if inA != inB || normal(name, x) != normal(name, y) {
			return false
		}
	}
	return true
}
