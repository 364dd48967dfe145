package httpcache

import (
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// guards are the defences against requests that mean to make a cache keep what it
// should not, or serve what others have not asked for. A test takes each away and sees
// its attack succeed.
type guards struct {
	paths   bool // ambiguous paths pass: cache deception by delimiters
	types   bool // an extension must be true: cache deception by made-up file names
	headers bool // fields that are no part of the key do not reach the origin: poisoning
	query   bool // nor do parameters that are none
}

var allGuards = guards{paths: true, types: true, headers: true, query: true}

// ambiguous reports whether cache and origin may see another path in what the client
// asked for: an encoded delimiter or dot, a semicolon, a backslash or a control
// character. "Gotta cache 'em all", PortSwigger, 2024, lists what servers make of them.
func ambiguous(u *url.URL) bool {
	p := u.EscapedPath()
	for i := 0; i < len(p); i++ {
		switch p[i] {
		case ';', '\\':
			return true
		case '%':
			if i+2 >= len(p) || delimiter(p[i+1], p[i+2]) {
				return true
			}
		}
	}
	return false
}

// delimiter reports whether %hl stands for a control character or one of # % . / ; ? \.
func delimiter(h, l byte) bool {
	c := unhex(h)<<4 | unhex(l)
	return c < ' ' || c == 0x7f || strings.IndexByte(`#%./;?\`, c) >= 0
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 0
}

// promised are the beginnings of the media types that a static file of an extension can
// have. What has another one was made by a program that took the file name for a
// parameter: "Web cache deception attack", Gil, 2017.
var promised = map[string][]string{
	".avif": {"image/"}, ".bmp": {"image/"}, ".gif": {"image/"}, ".ico": {"image/"}, ".jpeg": {"image/"}, ".jpg": {"image/"},
	".png": {"image/"}, ".svg": {"image/"}, ".svgz": {"image/"}, ".tif": {"image/"}, ".tiff": {"image/"}, ".webp": {"image/"},
	".css": {"text/css"}, ".js": {"text/javascript", "application/javascript", "application/x-javascript"},
	".mjs": {"text/javascript", "application/javascript"}, ".wasm": {"application/wasm"},
	".eot": {"font/", "application/"}, ".otf": {"font/", "application/"}, ".ttf": {"font/", "application/"},
	".woff": {"font/", "application/"}, ".woff2": {"font/", "application/"},
	".mp3": {"audio/"}, ".ogg": {"audio/", "video/", "application/ogg"}, ".wav": {"audio/"}, ".flac": {"audio/"},
	".mp4": {"video/", "audio/"}, ".webm": {"video/", "audio/"}, ".avi": {"video/"}, ".mkv": {"video/"},
	".pdf": {"application/pdf"}, ".zip": {"application/"}, ".gz": {"application/"}, ".jar": {"application/"},
	".doc": {"application/"}, ".docx": {"application/"}, ".xls": {"application/"}, ".xlsx": {"application/"},
	".ppt": {"application/"}, ".pptx": {"application/"}, ".csv": {"text/csv", "text/plain"},
}

// typeMatches reports whether an answer can be the file that its path names. Bytes of no
// particular type can be any.
func typeMatches(p string, h http.Header) bool {
	want, static := promised[strings.ToLower(path.Ext(p))]
	if !static {
		return true
	}
	got, _, err := mime.ParseMediaType(first(h["Content-Type"]))
	if err != nil {
		return false
	}
	if got == "application/json" || got == "application/xhtml+xml" || got == "application/xml" || strings.HasSuffix(got, "+json") {
		return false
	}
	if got == "application/octet-stream" || got == "binary/octet-stream" {
		return true
	}
	for _, beginning := range want {
		if strings.HasPrefix(got, beginning) {
			return true
		}
	}
	return false
}

// unkeyed are fields that origins build pages with and that are no part of the key:
// "Practical web cache poisoning", PortSwigger, 2018.
var unkeyed = []string{
	"Forwarded", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Forwarded-Scheme",
	"X-Forwarded-Server", "X-Forwarded-Ssl", "X-Forwarded-Uri", "X-Forwarded-Path", "X-Host", "X-Http-Host-Override",
	"X-Http-Method", "X-Http-Method-Override", "X-Method-Override", "X-Original-Host", "X-Original-Url",
	"X-Original-Uri", "X-Rewrite-Url", "Front-End-Https", "X-Url-Scheme",
}

// disarm takes out of a request, whose header is its own, what could make the origin
// answer otherwise to it than to others with the same key.
func (c *Cache) disarm(r *http.Request) {
	if c.guards.headers {
		c.disarmHeader(r.Header, c.cfg.Trusted(r))
	}
	// A query that a rewrite has made is the operator's, and part of the key as it is.
	if c.guards.query && c.cfg.Key.Query != nil && r.URL.RawQuery != "" && c.addressOf(r).RawQuery == r.URL.RawQuery {
		u := *r.URL
		u.RawQuery, u.ForceQuery = c.keyer.query(&u), false
		r.URL, r.RequestURI = &u, u.RequestURI()
	}
}

// A proxy that is trusted says by some fields how it was asked, which is part of the key
// then. Fields with an underscore may be others to an origin that makes variables of them.
func (c *Cache) disarmHeader(h http.Header, trusted bool) {
	for _, name := range unkeyed {
		if _, ok := h[name]; ok && !c.keyed(name) && !(trusted && slices.Contains(proxied, name)) {
			delete(h, name)
		}
	}
	for name := range h {
		if strings.Contains(name, "_") && !c.keyed(name) {
			delete(h, name)
		}
	}
}

// proxied are the fields by which a trusted proxy says what it was asked for.
var proxied = []string{
	"Front-End-Https", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Proto",
	"X-Forwarded-Scheme", "X-Forwarded-Ssl", "X-Url-Scheme",
}

func (c *Cache) keyed(name string) bool {
	for _, key := range c.cfg.Key.Headers {
		if http.CanonicalHeaderKey(key) == name {
			return true
		}
	}
	return false
}
