package accesslimit_test

import (
	"net/http"
	"strconv"
	"testing"

	"flashgate/caddymodule/gatewaytest"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// answer takes a response and keeps nothing but its status.
type answer struct {
	header http.Header
	status int
}

func (a *answer) Header() http.Header { return a.header }
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return len(b), nil
}

// What the directive adds to a request that Caddy answers, without the net: compare with
// /bare. bench/ measures the same with it.
func BenchmarkRoute(b *testing.B) {
	gatewaytest.Run(b, `{
	admin ADMIN
	persist_config off
	log {
		output discard
	}
	flashgate {
		data_dir DATA
	}
}
SITE {
	access_limit /denied 5 1h by all
	access_limit /denied-sensitive 5 1h by all {
		sensitive
	}
	access_limit /allowed 1000000 1s by all
	access_limit /address 1000000 1s
	access_limit /keys 1000000 1s by header X-Key
	access_limit /keys-sensitive 1000000 1s by header X-Key {
		sensitive
	}
	respond "ok"
}`)
	module, err := caddy.ActiveContext().App("http")
	if err != nil {
		b.Fatal(err)
	}
	server := module.(*caddyhttp.App).Servers["srv0"]
	for _, x := range []struct {
		path   string
		status int
	}{
		{"/bare", 200}, {"/denied", 429}, {"/denied-sensitive", 429}, {"/allowed", 200}, {"/address", 200}, {"/keys", 200}, {"/keys-sensitive", 200},
	} {
		b.Run(x.path[1:], func(b *testing.B) {
			r, err := http.NewRequest(http.MethodGet, x.path, nil)
			if err != nil {
				b.Fatal(err)
			}
			r.RemoteAddr, r.Host = "192.0.2.1:1024", "127.0.0.1"
			keys := make([]string, 10_000)
			for i := range keys {
				keys[i] = "user-" + strconv.Itoa(i)
			}
			a := &answer{header: http.Header{}}
			serve := func(i int) {
				clear(a.header)
				a.status = 0
				r.Header["X-Key"] = keys[i%len(keys) : i%len(keys)+1]
				server.ServeHTTP(a, r)
			}
			for i := range 6 {
				serve(i)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				serve(i)
				i++
			}
			if a.status != x.status {
				b.Fatalf("the last answer is %d, want %d", a.status, x.status)
			}
		})
	}
}
