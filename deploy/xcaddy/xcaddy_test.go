package xcaddy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/sqlite"
)

// build makes the Caddy once.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "flashgate-xcaddy")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "caddy")
	cmd := exec.Command("make", "caddy", "CADDY_OUTPUT="+path)
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("make caddy: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := build(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

func caddy(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestModulesAndCommands(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), caddy(t), "list-modules", "--skip-standard").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	have := map[string]bool{}
	for _, line := range strings.Fields(string(out)) {
		have[line] = true
	}
	for _, want := range []string{
		"flashgate", "admin.api.flashgate", "http.authentication.providers.session",
		"http.handlers.access_limit", "http.handlers.captcha", "http.handlers.hidden_path", "http.handlers.stock_gate",
		"http.handlers.page_cache", "flashgate.stock.sqlite", "flashgate.state.memory", "flashgate.captcha.math",
	} {
		if !have[want] {
			t.Errorf("list-modules lacks %s", want)
		}
	}
	out, err = exec.CommandContext(t.Context(), caddy(t), "flashgate", "--help").CombinedOutput()
	if err != nil {
		t.Fatalf("caddy flashgate: %v\n%s", err, out)
	}
	for _, want := range []string{"cache", "limit", "captcha", "sign", "doctor"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("caddy flashgate lacks the command %s:\n%s", want, out)
		}
	}
}

// site is a Caddy with one directive in front of a foreign origin.
type site struct {
	url, data string
	hits      atomic.Int64 // requests that reached the origin
	client    *http.Client
}

// serve runs the built Caddy with a site block that has the directives given.
func serve(t *testing.T, data, directives string) *site {
	t.Helper()
	s := &site{data: data}
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := s.hits.Add(1)
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "origin %d %s %s user=%q", n, r.Method, r.URL.Path, r.Header.Get("X-User"))
	}))
	t.Cleanup(origin.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	s.url = "http://" + addr
	file := filepath.Join(t.TempDir(), "Caddyfile")
	text := fmt.Sprintf("{\n\tadmin off\n\tpersist_config off\n\tflashgate {\n\t\tdata_dir %s\n\t}\n}\nhttp://%s {\n%s\n\treverse_proxy %s {\n\t\theader_up X-User {http.auth.user.id}\n\t}\n}\n",
		data, addr, directives, strings.TrimPrefix(origin.URL, "http://"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(caddy(t), "run", "--config", file)
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { cmd.Wait(); close(exited) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(20 * time.Second):
			t.Error("Caddy did not stop")
			_ = cmd.Process.Kill()
			<-exited
		}
		if t.Failed() {
			t.Logf("Caddyfile:\n%s\nlog:\n%s", text, log.String())
		}
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.client = &http.Client{Jar: jar, Timeout: 20 * time.Second}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); ; {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return s
		}
		select {
		case <-exited:
			t.Fatal("Caddy ended")
		case <-deadline:
			t.Fatal("Caddy was not up in 20 s")
		case <-tick.C:
		}
	}
}

// do sends a request and returns status, code and body.
func (s *site) do(t *testing.T, method, path, body string, header ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(raw), res.Header
}

func wantAnswer(t *testing.T, what string, status int, body string, wantStatus int, wantPart string) {
	t.Helper()
	if status != wantStatus || !strings.Contains(body, wantPart) {
		t.Fatalf("%s: %d %s; want %d with %q", what, status, body, wantStatus, wantPart)
	}
}

func TestAccessLimitAlone(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "\taccess_limit /x 3 60s")
	for range 3 {
		status, body, _ := s.do(t, "GET", "/x", "")
		wantAnswer(t, "within the limit", status, body, 200, "origin")
	}
	status, body, header := s.do(t, "GET", "/x", "")
	wantAnswer(t, "past the limit", status, body, 429, `"rate_limited"`)
	if header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	status, body, _ = s.do(t, "GET", "/y", "")
	wantAnswer(t, "another path", status, body, 200, "origin")
	if entries, err := os.ReadDir(s.data); err != nil || len(entries) != 0 {
		t.Errorf("a limiter in memory needs no file; the data folder has %v, %v", entries, err)
	}
}

func TestCaptchaAlone(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "\tcaptcha math {\n\t\tserve GET /captcha/{form}\n\t\tverify POST /forms/{form}\n\t\tloadtest_key only-for-tests\n\t}")
	status, body, _ := s.do(t, "POST", "/forms/signup", `{"captcha":"1"}`, "Content-Type", "application/json")
	wantAnswer(t, "never asked for", status, body, 403, `"captcha_wrong"`)
	status, _, header := s.do(t, "GET", "/captcha/signup", "", "Flashgate-Loadtest", "only-for-tests")
	if status != 200 || header.Get("Content-Type") != "image/png" {
		t.Fatalf("captcha: %d %v", status, header)
	}
	right := fmt.Sprintf(`{"captcha":%q}`, header.Get("Captcha-Answer"))
	status, body, _ = s.do(t, "POST", "/forms/signup", right, "Content-Type", "application/json")
	wantAnswer(t, "right", status, body, 200, "origin")
	status, body, _ = s.do(t, "POST", "/forms/signup", right, "Content-Type", "application/json")
	wantAnswer(t, "a second time", status, body, 403, `"captcha_wrong"`)
}

func TestHiddenPathAlone(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "\thidden_path {\n\t\tmint POST /door\n\t\tguard POST /room/{token}\n\t}")
	status, body, _ := s.do(t, "GET", "/room/made-up", "")
	wantAnswer(t, "a made-up token", status, body, 404, `"path_invalid"`)
	status, body, _ = s.do(t, "GET", "/room", "")
	wantAnswer(t, "the stripped path", status, body, 404, `"path_invalid"`)
	status, body, _ = s.do(t, "POST", "/door", "")
	wantAnswer(t, "mint", status, body, 200, `"path"`)
	var minted struct{ Path string }
	if err := json.Unmarshal([]byte(body), &minted); err != nil {
		t.Fatal(err)
	}
	status, body, header := s.do(t, "POST", "/room/"+minted.Path, "")
	wantAnswer(t, "the token", status, body, 200, "POST /room user")
	if header.Get("Cache-Control") != "no-store" || header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("header of what is behind the guard: %v", header)
	}
	status, body, header = s.do(t, "POST", "/room/"+minted.Path, "")
	wantAnswer(t, "the token again", status, body, 200, "POST /room user")
	if header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the origin was asked twice: %v", header)
	}
}

func TestPageCacheAlone(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "\tpage_cache /goods/*")
	for i := range 3 {
		status, body, header := s.do(t, "GET", "/goods/1", "")
		wantAnswer(t, "page", status, body, 200, "origin 1 ")
		if got := header.Get("Cache-Status"); (i > 0) != strings.Contains(got, "hit") {
			t.Errorf("request %d: Cache-Status %q", i, got)
		}
	}
	if n := s.hits.Load(); n != 1 {
		t.Errorf("the origin was asked %d times", n)
	}
}

// prepare makes a data folder with an open sale of some units and a session.
func prepare(t *testing.T, units int64) (data string, cookie string) {
	t.Helper()
	data = t.TempDir()
	store, err := sqlite.Open(filepath.Join(data, "flashgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	now := time.Now()
	token := flashgate.NewSessionToken()
	err = errors.Join(
		store.CreateSale(t.Context(), flashgate.Sale{ID: "1", Goods: "1", FlashPrice: 1, PerUser: 1, Seeded: units, Starts: now.Add(-time.Hour), Ends: now.Add(time.Hour)}),
		store.CreateSession(t.Context(), flashgate.Session{Key: token.Key(), User: "ann", Role: flashgate.RoleCustomer, Created: now, Expires: now.Add(time.Hour), Idle: time.Hour}),
	)
	if err != nil {
		t.Fatal(err)
	}
	return data, "session=" + string(token)
}

func TestSessionAuthAlone(t *testing.T) {
	t.Parallel()
	data, cookie := prepare(t, 1)
	s := serve(t, data, "\tsession_auth optional {\n\t\trequire GET /account/{page}\n\t}")
	status, body, _ := s.do(t, "GET", "/", "")
	wantAnswer(t, "anonymous", status, body, 200, `user=""`)
	status, body, _ = s.do(t, "GET", "/account/me", "")
	wantAnswer(t, "anonymous, login required", status, body, 401, `"unauthenticated"`)
	status, body, _ = s.do(t, "GET", "/account/me", "", "Cookie", cookie)
	wantAnswer(t, "logged in", status, body, 200, `user="ann"`)
}

func TestStockGateAlone(t *testing.T) {
	t.Parallel()
	data, cookie := prepare(t, 1)
	s := serve(t, data, "\tsession_auth\n\tstock_gate POST /sales/{sale}/orders")
	status, body, _ := s.do(t, "POST", "/sales/1/orders", "")
	wantAnswer(t, "anonymous", status, body, 401, `"unauthenticated"`)
	status, body, header := s.do(t, "POST", "/sales/1/orders", "", "Cookie", cookie)
	wantAnswer(t, "buy", status, body, 202, `"undecided"`)
	var bought struct{ Order flashgate.OrderID }
	if err := json.Unmarshal([]byte(body), &bought); err != nil || !strings.HasSuffix(header.Get("Location"), string(bought.Order)) {
		t.Fatalf("%s, Location %q, %v", body, header.Get("Location"), err)
	}
	status, body, _ = s.do(t, "POST", "/sales/1/orders", "", "Cookie", cookie)
	wantAnswer(t, "a second one", status, body, 409, `"already_bought"`)
	status, body, _ = s.do(t, "POST", "/sales/2/orders", "", "Cookie", cookie)
	wantAnswer(t, "no such sale", status, body, 404, `"not_found"`)
	if n := s.hits.Load(); n != 0 {
		t.Errorf("%d requests reached the origin", n)
	}
	// The accepted reservation is durable in the folder, for a worker to find.
	store, err := sqlite.Open(filepath.Join(data, "flashgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, held, err := store.Held(context.Background(), bought.Order); err != nil || !held {
		t.Errorf("held: %v, %v", held, err)
	}
	if ds, err := store.Receive(t.Context(), 10); err != nil || len(ds) != 1 || !bytes.Contains(ds[0].Body, []byte(bought.Order)) {
		t.Errorf("queued: %v, %v", ds, err)
	}
}
