package hiddenpath_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"flashgate/caddymodule/gatewaytest"
)

// downloads stands in front of a foreign origin: no login, no sale. Clients are told
// apart by the address that a trusted proxy gives.
const downloads = `
{
	admin ADMIN
	persist_config off
	grace_period 2s
	log {
		output discard
	}
	servers {
		trusted_proxies static 127.0.0.1
	}
	flashgate {
		data_dir DATA
	}
}

SITE {
	hidden_path {
		mint POST /files/{file_id}/link
		guard POST /files/{file_id}/get/{token}
		user {http.request.header.X-User}
	}
	reverse_proxy ORIGIN
}
`

// origin is a server behind the gateway that counts what reaches it.
type origin struct {
	*httptest.Server
	calls atomic.Int64
}

// newOrigin answers as f does; without f it says what it was asked.
func newOrigin(t testing.TB, f http.HandlerFunc) *origin {
	t.Helper()
	o := &origin{}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := o.calls.Add(1)
		if f != nil {
			f(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte("origin " + r.URL.Path + " call " + string('0'+rune(n%10))))
	}))
	t.Cleanup(o.Close)
	return o
}

func (o *origin) wantCalls(t testing.TB, want int64, what string) {
	t.Helper()
	if n := o.calls.Load(); n != want {
		t.Errorf("%s: the origin was called %d times, want %d", what, n, want)
	}
}

// inFront is a configuration with the origin in it.
func (o *origin) inFront(text string) string {
	return strings.ReplaceAll(text, "ORIGIN", strings.TrimPrefix(o.URL, "http://"))
}

// mintAt asks for a token at a path.
func mintAt(t testing.TB, c *gatewaytest.Client, path string, header ...string) string {
	t.Helper()
	a := c.Do("POST", path, header...)
	if a.Status != 200 || len(a.Member("path")) != 59 {
		t.Fatalf("mint: %+v", a)
	}
	return a.Member("path")
}
