package app_test

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"flashgate"
	"flashgate/caddymodule/app"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// provision makes an app as Caddy does, from JSON, and cleans it up.
func provision(t *testing.T, config string) (*app.App, error) {
	t.Helper()
	ctx, err := caddy.ProvisionContext(&caddy.Config{
		Admin:   &caddy.AdminConfig{Disabled: true},
		AppsRaw: caddy.ModuleMap{"flashgate": json.RawMessage(config)},
	})
	if err != nil {
		return nil, err
	}
	a, err := app.Get(ctx)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := a.Cleanup(); err != nil {
			t.Error(err)
		}
	})
	return a, nil
}

func must(t *testing.T, config string) *app.App {
	t.Helper()
	a, err := provision(t, config)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func in(dir string) string {
	b, err := json.Marshal(map[string]string{"data_dir": dir})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func writeFile(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsOpenedBeforeItIsNeeded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	a := must(t, in(dir))
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 0 {
		t.Errorf("provisioning made %v", files)
	}
	if _, err := a.Keyring(); err != nil {
		t.Error(err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 1 || filepath.Base(files[0]) != "keys" {
		t.Errorf("the keyring made %v", files)
	}
	stock, err := a.Stock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stock.View(t.Context(), "1"); flashgate.ErrorCode(err) != flashgate.CodeNotFound {
		t.Errorf("View = %v", err)
	}
	if p, err := a.Publisher(); p != nil || err != nil {
		t.Errorf("the SQLite stock enqueues by itself; Publisher = %v, %v", p, err)
	}
}

// The data folder appears after the first requests have failed.
func TestOpeningIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	block := filepath.Join(dir, "data")
	writeFile(t, block)
	a := must(t, in(block))
	for range 2 {
		if _, err := a.Stock(); flashgate.ErrorCode(err) != flashgate.CodeUnavailable {
			t.Errorf("Stock = %v, want unavailable", err)
		}
		if _, err := a.Keyring(); flashgate.ErrorCode(err) != flashgate.CodeUnavailable {
			t.Errorf("Keyring = %v, want unavailable", err)
		}
	}
	if err := os.Remove(block); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Stock(); err != nil {
		t.Errorf("Stock: %v", err)
	}
	if _, err := a.Sessions(); err != nil {
		t.Errorf("Sessions: %v", err)
	}
	if _, err := a.Keyring(); err != nil {
		t.Errorf("Keyring: %v", err)
	}
}

func TestConfigurationsWithOneFolderShareTheirState(t *testing.T) {
	dir := t.TempDir()
	first, second, other := must(t, in(dir)), must(t, in(dir)), must(t, in(t.TempDir()))
	if err := first.OneTime().Put(t.Context(), "k", []byte("v"), 1e9); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := other.OneTime().Take(t.Context(), "k"); ok || err != nil {
		t.Errorf("another folder has the value: %v", err)
	}
	if v, ok, err := second.OneTime().Take(t.Context(), "k"); !ok || string(v) != "v" || err != nil {
		t.Errorf("the same folder: %q, %t, %v", v, ok, err)
	}
}

func TestConcurrentUse(t *testing.T) {
	a := must(t, in(t.TempDir()))
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			stock, err := a.Stock()
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := stock.View(t.Context(), "1"); flashgate.ErrorCode(err) != flashgate.CodeNotFound {
				t.Errorf("View = %v", err)
			}
			if _, err := a.Keyring(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Go(func() {
		if err := a.Cleanup(); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
}

func TestBadJSON(t *testing.T) {
	for config, want := range map[string]string{
		`{"keys":"short"}`: "keys: key 1 is not the base64url of 32 bytes",
		`{"data_dir":"{env.FLASHGATE_NOBODY_SETS_THIS}"}`: "data_dir is empty",
		`{"state":{"backend":"disk"}}`:                    "flashgate.state.disk",
		`{"state":{"backend":"memory","max_bytes":1}}`:    "must be between 1 MiB and 1 TiB",
		`{"stock":{"backend":"disk"}}`:                    "flashgate.stock.disk",
		`{"unknown":1}`:                                   "unknown field",
	} {
		if _, err := provision(t, config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", config, err, want)
		}
	}
}

func TestFail(t *testing.T) {
	a := must(t, in(t.TempDir()))
	secret := errors.New("secret cause")
	for name, c := range map[string]struct {
		err    error
		status int
		retry  string
	}{
		"refusal":                {&flashgate.Error{Code: flashgate.CodeSoldOut}, 409, ""},
		"unavailable":            {&flashgate.Error{Code: flashgate.CodeUnavailable, Err: secret}, 503, "1"},
		"unavailable for longer": {&flashgate.Error{Code: flashgate.CodeUnavailable, RetryAfter: 5e9, Err: secret}, 503, "5"},
		"closed":                 {&flashgate.Error{Code: flashgate.CodeSaleClosed}, 503, "1"},
		"foreign":                {secret, 500, ""},
	} {
		for _, caddyErrors := range []bool{false, true} {
			w := httptest.NewRecorder()
			err := a.Fail(w, httptest.NewRequest("POST", "/", nil), "test", c.err, caddyErrors)
			if h := w.Header(); h.Get("Retry-After") != c.retry || h.Get("Cache-Control") != "no-store" {
				t.Errorf("%s, %t: headers %v", name, caddyErrors, h)
			}
			if strings.Contains(w.Body.String(), "secret") {
				t.Errorf("%s: the body holds the cause: %s", name, w.Body)
			}
			var handled caddyhttp.HandlerError
			switch {
			case caddyErrors && (!errors.As(err, &handled) || handled.StatusCode != c.status || w.Body.Len() > 0):
				t.Errorf("%s: returned %v and wrote %q", name, err, w.Body)
			case !caddyErrors && (err != nil || w.Code != c.status || w.Header().Get("Content-Type") != "application/problem+json"):
				t.Errorf("%s: %d %v, %v", name, w.Code, w.Header(), err)
			}
		}
	}
}
