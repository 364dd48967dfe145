package hiddenpath_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"flashgate/caddymodule/gatewaytest"
	"flashgate/internal/signedurl"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(implicit{})
	httpcaddyfile.RegisterHandlerDirective("test_implicit", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return implicit{}, nil
	})
}

// implicit is a handler that answers without a call of WriteHeader, each way there is.
type implicit struct{}

func (implicit) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_implicit", New: func() caddy.Module { return implicit{} }}
}

func (implicit) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	w.Header().Set("Cache-Control", "public, max-age=60")
	var err error
	switch r.URL.Path {
	case "/files/write":
		_, err = fmt.Fprint(w, "x")
	case "/files/copy":
		_, err = w.(io.ReaderFrom).ReadFrom(strings.NewReader("x"))
	case "/files/flush":
		err = http.NewResponseController(w).Flush()
	case "/files/flusher":
		w.(http.Flusher).Flush()
	case "/files/early":
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Cache-Control", "public, max-age=60")
		_, err = fmt.Fprint(w, "x")
	}
	return err
}

func TestEveryAnswerIsPrivate(t *testing.T) {
	g := gatewaytest.Run(t, `
SITE {
	route {
		hidden_path {
			signed /files/*
		}
		test_implicit
	}
}`)
	s, c := newSigner(t, g), g.Client(t)
	for _, path := range []string{"write", "copy", "flush", "flusher", "early", "nothing"} {
		a := c.Do("GET", s.sign("/files/"+path, signedurl.Terms{}))
		if a.Status != 200 || a.Header.Get("Cache-Control") != "private, max-age=60" || a.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %+v", path, a)
		}
	}
}
