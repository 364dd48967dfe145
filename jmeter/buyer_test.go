package jmeter_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// stage is a site that answers by a script, to see what the plan's buyers do.
type stage struct {
	mu     sync.Mutex
	script map[string][]string // by buyer and step: the answers; the last one stays
	seen   map[string][]string // by buyer: the steps, with the answer each got
	faults []string
}

func (s *stage) fault(format string, args ...any) {
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	cookie, err := r.Cookie("session")
	if s.before(w, r, err == nil) {
		return
	}
	if err != nil {
		http.Error(w, "no session", http.StatusUnauthorized)
		return
	}
	buyer := strings.TrimPrefix(cookie.Value, "token-")
	step := map[string]string{
		"GET /api/sales/stage/captcha":               "captcha",
		"POST /api/sales/stage/path":                 "path",
		"POST /api/sales/stage/orders/path-" + buyer: "buy",
		"GET /api/orders/stage.order-" + buyer:       "poll",
	}[r.Method+" "+r.URL.Path]
	s.mu.Lock()
	answer := "404"
	if rest := s.script[buyer+" "+step]; len(rest) > 0 {
		if answer = rest[0]; len(rest) > 1 {
			s.script[buyer+" "+step] = rest[1:]
		}
	}
	s.seen[buyer] = append(s.seen[buyer], step+" "+answer)
	s.check(step, r)
	s.mu.Unlock()
	if answer == "none" {
		panic(http.ErrAbortHandler) // the connection ends without an answer
	}
	s.answer(w, buyer, step, answer)
}

// before answers what is asked before the buyers come: of the site, its sale, and by
// nobody in particular.
func (s *stage) before(w http.ResponseWriter, r *http.Request, session bool) bool {
	switch {
	case !session && r.URL.Path == "/api/sales/stage":
		_, _ = w.Write([]byte(`{"phase":"open"}`))
	case !session && r.URL.Path == "/api/sales/stage/captcha":
		w.Header().Set("Captcha-Answer", "17")
	case r.URL.Path != "/" && r.URL.Path != "/api/me":
		return false
	}
	return true
}

// check looks at what a request must carry.
func (s *stage) check(step string, r *http.Request) {
	switch step {
	case "":
		s.fault("%s %s", r.Method, r.URL.Path)
	case "captcha":
		if r.Header.Get("Flashgate-Loadtest") != "the-key" {
			s.fault("captcha with the key %q", r.Header.Get("Flashgate-Loadtest"))
		}
	case "path":
		var in struct{ Captcha string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Captcha != "17" || r.Header.Get("Content-Type") != "application/json" {
			s.fault("path with the answer %q, %v, of type %q", in.Captcha, err, r.Header.Get("Content-Type"))
		}
	case "buy", "poll":
		if r.Header.Get("Flashgate-Loadtest") != "" {
			s.fault("%s carries the key", step)
		}
	}
}

// answer writes a status with the body that belongs to it.
func (s *stage) answer(w http.ResponseWriter, buyer, step, answer string) {
	status, word, _ := strings.Cut(answer, " ")
	body := map[string]any{"code": word}
	switch {
	case status == "429" || status == "503" || status == "504":
		w.Header().Set("Retry-After", "1")
	case step == "captcha":
		w.Header().Set("Captcha-Answer", "17")
	case step == "path":
		body = map[string]any{"path": "path-" + buyer, "order": "stage.order-" + buyer, "expires_in": 60}
	case status == "202" || status == "200":
		body = map[string]any{"order": "stage.order-" + buyer, "status": word}
	}
	var code int
	fmt.Sscan(status, &code)
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}

// An honest buyer waits when told to, presses again when nothing is known, always with
// the same path, never after a refusal, and polls what may have become an order.
func testHonestBuyers(t *testing.T) {
	t.Parallel()
	s := &stage{seen: map[string][]string{}, script: map[string][]string{
		"ann path": {"429 rate_limited", "200"},
		"ann buy":  {"504 unknown_outcome", "503 unavailable", "none", "202 undecided"},
		"ann poll": {"503 unavailable", "200 undecided", "200 pending"},
		"bob path": {"200"},
		"bob buy":  {"504 unknown_outcome", "409 sold_out"},
		"bob poll": {"200 rejected"},
		"cid path": {"200"},
		"cid buy":  {"409 sold_out"},
		"dan path": {"403 captcha_wrong"},
	}}
	var file strings.Builder
	file.WriteString("mobile,user,token\n")
	for _, name := range []string{"ann", "bob", "cid", "dan"} {
		s.script[name+" captcha"] = []string{"200"}
		fmt.Fprintf(&file, "1,%s,token-%s\n", name, name)
	}
	site := httptest.NewServer(s)
	defer site.Close()
	users := filepath.Join(t.TempDir(), "users.csv")
	if err := os.WriteFile(users, []byte(file.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	r := load(t, []string{"run", "flash-sale"}, quick, "TARGET="+site.URL, "FLASHGATE_LOADTEST_KEY=the-key", "FLASHGATE_DATA="+shopFolder(t),
		"USERS_CSV="+users, "USERS=4", "SALE=stage", "RAMP_UP=0", "REPORT=no")
	if r.exit != 2 || !strings.Contains(r.log, `no sale "stage"`) { // there is no database behind this stage
		t.Errorf("exit %d\n%s%s", r.exit, r.log, r.out)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		t.Error(f)
	}
	for name, want := range map[string][]string{
		"ann": {"captcha 200", "path 429 rate_limited", "captcha 200", "path 200",
			"buy 504 unknown_outcome", "buy 503 unavailable", "buy none", "buy 202 undecided",
			"poll 503 unavailable", "poll 200 undecided", "poll 200 pending"},
		"bob": {"captcha 200", "path 200", "buy 504 unknown_outcome", "buy 409 sold_out", "poll 200 rejected"},
		"cid": {"captcha 200", "path 200", "buy 409 sold_out"},
		"dan": slices.Repeat([]string{"captcha 200", "path 403 captcha_wrong"}, 10),
	} {
		if got := s.seen[name]; !slices.Equal(got, want) {
			t.Errorf("%s did %q, want %q", name, got, want)
		}
	}
	results := r.file(t, "flash-sale/results.jtl")
	for _, want := range []string{"stage.order-ann,ann,stage,accepted,pending,\n", "stage.order-bob,bob,stage,sold_out,rejected,\n", "stage.order-cid,cid,stage,sold_out,,\n"} {
		if !strings.Contains(strings.ReplaceAll(results, `"`, ""), want) {
			t.Errorf("%q is not in\n%s", want, results)
		}
	}
}
