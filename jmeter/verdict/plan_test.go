package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shortForm writes a plan without a sale.
func shortForm(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "browse.json")
	must(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

// samples writes a results file of lines "label code elapsed success who".
func samples(t *testing.T, lines ...string) string {
	t.Helper()
	text := "timeStamp,elapsed,label,responseCode,responseMessage,success,order,user,sale,outcome,status,who\n"
	for i, l := range lines {
		f := strings.Fields(l + " -")
		text += fmt.Sprintf("%d,%s,%s,%s,why,%s,,,,,,%s\n", 1_700_000_000_000+i, f[2], f[0], f[1], f[3], strings.Trim(f[4], "-"))
	}
	return file(t, text)
}

// What a plan expects of its labels, and what it is told when that is not so.
func TestGoals(t *testing.T) {
	t.Parallel()
	good := []string{"page 200 10 true", "page 304 20 true", "page 304 30 true", "page 304 40 true"}
	for _, c := range []struct {
		name, labels string
		lines        []string
		says         string // empty: green
	}{
		{name: "all in order", labels: `"page": {"codes": ["200", "304"], "at_least": 4, "p50_ms": 20, "p95_ms": 40, "p99_ms": 40, "share": {"304": [0.75, 0.75]}}`},
		{name: "nothing is asked", labels: `"page": {}`},
		{name: "too few", labels: `"page": {"at_least": 5}`, says: "page: 4 samples, at least 5 are wanted"},
		{name: "no sample of a label", labels: `"page": {}, "list": {"at_least": 1}`, says: "list: 0 samples, at least 1 are wanted"},
		{name: "a label that nobody knows", labels: `"list": {}`, says: "page: the plan does not say what is expected of this label"},
		{name: "another code", labels: `"page": {"codes": ["304"]}`, says: "page: 1 × 200, wanted are 304"},
		{name: "no answer", labels: `"page": {"codes": ["200", "304"]}`, lines: []string{"page Refused 1 false"}, says: "page: 1 × no answer, wanted are 200, 304"},
		{name: "slow in the middle", labels: `"page": {"p50_ms": 19}`, says: "page: p50 is 20ms, at most 19 ms are wanted"},
		{name: "slow at the end", labels: `"page": {"p95_ms": 39}`, says: "page: p95 is 40ms"},
		{name: "slow at the very end", labels: `"page": {"p99_ms": 39}`, says: "page: p99 is 40ms"},
		{name: "too few of a code", labels: `"page": {"share": {"304": [0.76, 1]}}`, says: "page: 0.75 of 4 samples are 304, wanted are 0.76 to 1"},
		{name: "too many of a code", labels: `"page": {"share": {"304": [0, 0.74]}}`, says: "page: 0.75 of 4 samples are 304"},
		{name: "none of a code", labels: `"page": {"share": {"429": [0.1, 1]}}`, says: "page: 0 of 4 samples are 429"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := command(t.Context(), t, "--plan", shortForm(t, `{"labels": {`+c.labels+`}}`), "--results", samples(t, append(c.lines, good...)...))
			exit, red := 0, ""
			if c.says != "" {
				exit, red = 1, "goals"
			}
			if a.exit != exit || a.red() != red || !strings.Contains(a.out, c.says) {
				t.Errorf("exit %d, red %q; want %d, %q and %q in\n%s%s", a.exit, a.red(), exit, red, c.says, a.out, a.errors)
			}
		})
	}
}

// Honest users are judged, bots are told of beside them.
func TestHonestUsers(t *testing.T) {
	t.Parallel()
	bots := []string{"buy 404 1 true bot", "buy 202 1 false bot", "buy 200 1 false bot"}
	for _, c := range []struct {
		name  string
		lines []string
		exit  int
		says  string
	}{
		{"all are served", []string{"buy 409 1 true", "buy 202 1 true honest"}, 0, "100.00 % of 2 requests of honest users were answered as wanted; of 3 requests of bots 2 were answered 2xx, 1 with an order"},
		{"one in two is served", []string{"buy 503 1 false", "buy 202 1 true honest"}, 1, "at least 75 % are wanted"},
		{"only bots came", nil, 1, "at least 75 % are wanted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := command(t.Context(), t, "--plan", shortForm(t, `{"labels": {"buy": {}}, "honest_success": 0.75}`), "--results", samples(t, append(c.lines, bots...)...))
			if a.exit != c.exit || !strings.Contains(a.out, c.says) || c.exit == 1 && a.red() != "honest" {
				t.Errorf("exit %d, want %d and %q in\n%s%s", a.exit, c.exit, c.says, a.out, a.errors)
			}
		})
	}
}

// With a sale everything is judged at once, and written down.
func TestPlanWithASale(t *testing.T) {
	t.Parallel()
	s := goodRun(t, embedded(t))
	form := shortForm(t, `{"units": 5, "labels": {"captcha": {}, "path": {}, "poll": {}, "buy": {"codes": ["202", "409", "504"]}}, "honest_success": 1}`)
	report := filepath.Join(t.TempDir(), "verdict.json")
	a := s.judge(t, s.results(t), "--plan", form, "--json", report)
	if a.exit != 0 || !strings.Contains(a.out, "green P5    a repeat takes no second unit: 1 orders were pressed more than once") ||
		!strings.Contains(a.out, "refused  3 × 409 sold_out, 2 × 504\n") {
		t.Fatalf("exit %d\n%s%s", a.exit, a.out, a.errors)
	}
	text, err := os.ReadFile(report)
	must(t, err)
	var got struct {
		Plan, Sale string
		Green      bool
		Checks     []struct {
			Name  string
			Green bool
		}
		Labels map[string]struct {
			Count int
			Codes map[string]int
			P50   int64 `json:"p50_ms"`
			P99   int64 `json:"p99_ms"`
		}
		Honest struct{ Requests, Wanted int }
	}
	must(t, json.Unmarshal(text, &got))
	buy := got.Labels["buy"]
	if got.Plan != "browse" || got.Sale != saleID || !got.Green || len(got.Checks) != 9 || buy.Count != 9 || buy.Codes["202"] != 4 ||
		buy.P50 != 40 || buy.P99 != 80 || got.Honest.Requests != got.Honest.Wanted || got.Honest.Requests == 0 {
		t.Errorf("%s", text)
	}
}

// A 202 counts whatever the sample is called.
func TestEvery202IsAccountedFor(t *testing.T) {
	t.Parallel()
	s := goodRun(t, embedded(t))
	s.lines = append(s.lines, line{label: "guess", code: "202", order: string(s.orders[6]), user: string(s.users[6])})
	if a := s.judge(t, s.results(t)); a.exit != 1 || a.red() != "P2" || !strings.Contains(a.out, "answered 202 and is not in the database") {
		t.Errorf("exit %d\n%s%s", a.exit, a.out, a.errors)
	}
}

// P5: buyer 3 has pressed twice.
func TestARepeatTakesASecondUnit(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"UPDATE orders SET units = 2 WHERE user = ?": "was pressed 2 times and has 2 units",
		"UPDATE buyer SET taken = 2 WHERE user = ?":  "2 times and has 2 units for 1 orders",
	} {
		s := goodRun(t, embedded(t))
		s.exec(t, text, s.users[3])
		if a := s.judge(t, s.results(t)); a.exit != 1 || !strings.Contains(a.red(), "P5") || !strings.Contains(a.out, says) {
			t.Errorf("%s: exit %d\n%s%s", text, a.exit, a.out, a.errors)
		}
	}
}

func TestPlansThatCannotBeJudged(t *testing.T) {
	t.Parallel()
	good := shortForm(t, `{"labels": {"page": {}}}`)
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no such plan":          {[]string{"--plan", "no.json", "--results", samples(t)}, "--plan: open no.json: no such file"},
		"a field that is none":  {[]string{"--plan", shortForm(t, `{"label": {}}`), "--results", samples(t)}, `unknown field "label"`},
		"no labels":             {[]string{"--plan", shortForm(t, `{}`), "--results", samples(t)}, "has no labels"},
		"a sale is missing":     {[]string{"--plan", shortForm(t, `{"units": 1, "labels": {"page": {}}}`), "--results", samples(t)}, "--sale are required"},
		"a server and no sale":  {[]string{"--plan", good, "--results", samples(t), "--redis", "redis://127.0.0.1:1"}, "are for a run with a --sale"},
		"it did not begin":      {[]string{"--plan", good, "--results", samples(t, "setup setup 1 false")}, "the plan did not begin: why"},
		"neither honest or bot": {[]string{"--plan", good, "--results", samples(t, "page 200 1 true robot")}, `line 2: who is "robot"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if a := command(t.Context(), t, c.args...); a.exit != 2 || !strings.Contains(a.errors, c.says) || strings.Contains(a.out, "green") {
				t.Errorf("exit %d, want 2 and %q in %q\n%s", a.exit, c.says, a.errors, a.out)
			}
		})
	}
}
