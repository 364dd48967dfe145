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
	ended  map[string]chan struct{} // by buyer: closed when the order was cancelled
}

func (s *stage) fault(format string, args ...any) {
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

func sessionCookie(r *http.Request) string {
	if r.TLS != nil {
		return "__Host-session"
	}
	return "session"
}

func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	cookie, err := r.Cookie(sessionCookie(r))
	if s.before(w, r, err == nil) {
		return
	}
	if r.URL.Path == "/api/login" {
		s.login(w, r)
		return
	}
	if err != nil {
		http.Error(w, "no session", http.StatusUnauthorized)
		return
	}
	buyer := strings.TrimPrefix(cookie.Value, "token-")
	step := map[string]string{
		"GET /api/sales/stage/captcha":                      "captcha",
		"POST /api/sales/stage/path":                        "path",
		"POST /api/sales/stage/orders/path-" + buyer:        "buy",
		"GET /api/orders/stage.order-" + buyer:              "poll",
		"GET /api/orders/stage.order-" + buyer + "/events":  "events",
		"POST /api/orders/stage.order-" + buyer + "/pay":    "pay",
		"POST /api/orders/stage.order-" + buyer + "/cancel": "cancel",
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
	if step == "events" && strings.HasPrefix(answer, "200 ") {
		s.tell(w, r, buyer, strings.Fields(answer)[1:])
		return
	}
	s.answer(w, buyer, step, answer)
	if step == "cancel" && strings.HasPrefix(answer, "200") {
		close(s.ended[buyer])
	}
}

// login gives who has the right password a session that nobody had before.
func (s *stage) login(w http.ResponseWriter, r *http.Request) {
	var in struct{ Mobile, Password string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Password != "word-"+in.Mobile {
		s.mu.Lock()
		s.fault("login of %q with the password %q, %v", in.Mobile, in.Password, err)
		s.mu.Unlock()
	}
	if in.Mobile == "fay" {
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: sessionCookie(r), Value: "token-" + in.Mobile, Path: "/", HttpOnly: true, Secure: r.TLS != nil})
}

// tell streams the words as an order's statuses, and after "pending" what becomes of a
// cancelled order. The shop's own stream, too, stays open until then.
func (s *stage) tell(w http.ResponseWriter, r *http.Request, buyer string, words []string) {
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(word string) {
		fmt.Fprintf(w, ": still here\n\nevent: order\ndata: {\"order\":\"stage.order-%s\",\"status\":\"%s\"}\n\n", buyer, word)
		w.(http.Flusher).Flush()
	}
	for _, word := range words {
		send(word)
	}
	if words[len(words)-1] != "pending" {
		return
	}
	select {
	case <-s.ended[buyer]:
		send("cancelled")
	case <-r.Context().Done():
	}
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
	case "buy", "poll", "events", "pay", "cancel":
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
		"ann poll": {"503 unavailable", "200 undecided", "200 pending", "200 pending", "200 pending", "200 paid"},
		"ann pay":  {"503 unavailable", "200 paid"},
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
	r := load(t, []string{"run", "-wait", "0s", "-Jpay=100", "-Jcancel=0", "flash-sale"}, quick, "TARGET="+site.URL, "FLASHGATE_LOADTEST_KEY=the-key", "FLASHGATE_DATA="+saleFolder(t, "stage"),
		"USERS_CSV="+users, "USERS=4", "SALE=stage", "RAMP_UP=0", "REPORT=no")
	if r.exit != 1 || !strings.Contains(r.out, "is not in the database") { // there is no order behind this stage
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
			"poll 503 unavailable", "poll 200 undecided", "poll 200 pending",
			"pay 503 unavailable", "poll 200 pending", "pay 200 paid", "poll 200 pending", "poll 200 paid"},
		"bob": {"captcha 200", "path 200", "buy 504 unknown_outcome", "buy 409 sold_out", "poll 200 rejected"},
		"cid": {"captcha 200", "path 200", "buy 409 sold_out"},
		"dan": slices.Repeat([]string{"captcha 200", "path 403 captcha_wrong"}, 10),
	} {
		if got := s.seen[name]; !slices.Equal(got, want) {
			t.Errorf("%s did %q, want %q", name, got, want)
		}
	}
	results := r.file(t, "flash-sale/results.jtl")
	for _, want := range []string{"stage.order-ann,ann,stage,accepted,paid,\n", "stage.order-bob,bob,stage,sold_out,rejected,\n", "stage.order-cid,cid,stage,sold_out,,\n"} {
		if !strings.Contains(strings.ReplaceAll(results, `"`, ""), want) {
			t.Errorf("%q is not in\n%s", want, results)
		}
	}
}

// Buyers log in, hear of their orders on a stream, and cancel: a stream that is open
// is read on, one that ended is asked for again, and whoever may not log in buys with the
// session of the file. All of it over TLS, with a certificate of nobody's.
func testBuyersWhoAreTold(t *testing.T) {
	t.Parallel()
	s := &stage{seen: map[string][]string{}, ended: map[string]chan struct{}{}, script: map[string][]string{
		"eve events": {"200 undecided pending"},
		"eve cancel": {"200 cancelled"},
		"fay events": {"503 unavailable", "200 undecided", "200 pending"},
		"fay cancel": {"none", "409 wrong_state"},
		"gil events": {"200 undecided rejected"},
	}}
	var file strings.Builder
	file.WriteString("mobile,user,token,password\n")
	for _, name := range []string{"eve", "fay", "gil"} {
		s.ended[name] = make(chan struct{})
		for step, answer := range map[string]string{"captcha": "200", "path": "200", "buy": "202 undecided"} {
			s.script[name+" "+step] = []string{answer}
		}
		token := "over"
		if name == "fay" {
			token = "token-fay"
		}
		fmt.Fprintf(&file, "%s,%s,%s,word-%s\n", name, name, token, name)
	}
	site := httptest.NewTLSServer(s)
	defer site.Close()
	users := filepath.Join(t.TempDir(), "users.csv")
	if err := os.WriteFile(users, []byte(file.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	r := load(t, []string{"run", "-wait", "0s", "-Jlogin=true", "-Jwatch=events", "-Jpay=0", "-Jcancel=100", "flash-sale"}, quick,
		"TARGET="+site.URL, "FLASHGATE_LOADTEST_KEY=the-key", "FLASHGATE_DATA="+saleFolder(t, "stage"), "USERS_CSV="+users, "USERS=3", "SALE=stage", "RAMP_UP=0", "REPORT=no")
	if r.exit != 1 || !strings.Contains(r.out, "is not in the database") { // there is no order behind this stage
		t.Errorf("exit %d\n%s%s", r.exit, r.log, r.out)
	}
	r.noFaults(t, "flash-sale")
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		t.Error(f)
	}
	begin := []string{"captcha 200", "path 200", "buy 202 undecided"}
	for name, then := range map[string][]string{
		"eve": {"events 200 undecided pending", "cancel 200 cancelled"},
		"fay": {"events 503 unavailable", "events 200 undecided", "events 200 pending", "cancel none", "events 200 pending", "cancel 409 wrong_state", "events 200 pending"},
		"gil": {"events 200 undecided rejected"},
	} {
		if got, want := s.seen[name], slices.Concat(begin, then); !slices.Equal(got, want) {
			t.Errorf("%s did %q, want %q", name, got, want)
		}
	}
	results := strings.ReplaceAll(r.file(t, "flash-sale/results.jtl"), `"`, "")
	for _, want := range []string{",eve,stage,accepted,cancelled,\n", ",fay,stage,accepted,pending,\n", ",gil,stage,accepted,rejected,\n"} {
		if !strings.Contains(results, want) {
			t.Errorf("%q is not in\n%s", want, results)
		}
	}
	if n := strings.Count(results, ",events,200,"); n != 7 {
		t.Errorf("%d samples of events with 200, want 7", n)
	}
}
