package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// browse is a plan without a sale.
const browse = `{"about": "pages", "users": 0, "units": 0, "honest_success": 0.9, "labels": {
	"list": {"codes": ["200", "304"], "at_least": 2, "p50_ms": 20, "p95_ms": 50, "p99_ms": 100, "share": {"304": [0.2, 0.6]}},
	"flood": {"codes": ["429", "no answer"]}}}`

// visits are 10 honest requests and 4 of a bot, as browse wants them.
func visits() (ls []line) {
	for i := range 10 {
		l := line{label: "list", code: "200", elapsed: 10, who: "honest"}
		if i >= 6 {
			l.code = "304"
		}
		ls = append(ls, l)
	}
	for range 4 {
		ls = append(ls, line{label: "flood", code: "429", elapsed: 1, who: "bot", failed: true})
	}
	return ls
}

func planFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "plan.json")
	must(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

// A plan without a sale is judged by its samples alone.
func TestLabels(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(ls []line) []line
		red   string
		says  string
	}{
		{"good", func(ls []line) []line { return ls }, "", "100.00 % of 10 requests; bots got through: 0.00 % of 4"},
		{"no samples at all", func([]line) []line { return nil }, "run users label", "the results file has no sample"},
		{"a code that is not allowed", func(ls []line) []line { ls[0].code = "500"; return ls }, "label", "1 × 500, allowed are 200, 304"},
		{"no answer where one is wanted", func(ls []line) []line { ls[0].code = "Non HTTP response code: x"; return ls }, "label", "1 × no answer, allowed are"},
		{"no answer where that is allowed", func(ls []line) []line { ls[13].code = "Non HTTP response code: x"; return ls }, "", "verdict: green, no sale"},
		{"too few samples", func(ls []line) []line { return append(ls[5:7], ls[10:]...) }, "", "verdict: green"},
		{"fewer still", func(ls []line) []line { return append(ls[6:7], ls[10:]...) }, "label", "1 samples, at least 2 must be there"},
		{"a slow median", func(ls []line) []line { return slow(ls, 6, 21) }, "label", "p50 is 21ms, at most 20 ms"},
		{"half of them slow", func(ls []line) []line { return slow(ls, 5, 21) }, "", "verdict: green"},
		{"a slow twentieth", func(ls []line) []line { return slow(ls, 1, 51) }, "label", "p95 is 51ms, at most 50 ms"},
		{"the slowest", func(ls []line) []line { return slow(ls, 1, 101) }, "label", "p99 is 101ms, at most 100 ms"},
		{"a share that is too small", func(ls []line) []line { return code(ls, 6, 9, "200") }, "label", "10.0 % are 304, it must be 20 to 60 %"},
		{"a share that is too large", func(ls []line) []line { return code(ls, 0, 3, "304") }, "label", "70.0 % are 304"},
		{"a label that nobody named", func(ls []line) []line { return append(ls, line{label: "other", code: "200"}) }, "label", "other: 1 samples"},
		{"honest users fail", func(ls []line) []line { ls[0].failed, ls[1].failed = true, true; return ls }, "users", "80.00 % of 10 requests"},
		{"one of them fails", func(ls []line) []line { ls[0].failed = true; return ls }, "", "90.00 % of 10 requests"},
		{"nobody is honest", func(ls []line) []line {
			for i := range ls {
				ls[i].who = "bot"
			}
			return ls
		}, "users", "no request was an honest user's"},
		{"without a word they are honest", func(ls []line) []line { ls[0].who = ""; return ls }, "", "of 10 requests"},
		{"somebody else", func(ls []line) []line { ls[0].who = "null"; return ls }, "users", `1 lines are of "null"`},
		{"bots get through", func(ls []line) []line { ls[10].code = "200"; return ls }, "label", "bots got through: 25.00 % of 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &scene{lines: c.spoil(visits())}
			a := command(t.Context(), t, "--plan", planFile(t, browse), "--results", s.results(t))
			want := 0
			if c.red != "" {
				want = 1
			}
			if a.exit != want || a.red() != c.red || !strings.Contains(a.out, c.says) || a.errors != "" {
				t.Errorf("exit %d, red %q; want %q and %q in\n%s%s", a.exit, a.red(), c.red, c.says, a.out, a.errors)
			}
		})
	}
}

// slow makes the last n of the honest ones slow.
func slow(ls []line, n, ms int) []line {
	for i := 10 - n; i < 10; i++ {
		ls[i].elapsed = ms
	}
	return ls
}

func code(ls []line, from, to int, code string) []line {
	for i := from; i < to; i++ {
		ls[i].code = code
	}
	return ls
}

// sold is goodRun's plan.
const sold = `{"about": "a sale", "units": 5, "honest_success": 0.5, "labels": {
	"captcha": {"codes": ["200"], "at_least": 8}, "path": {"codes": ["200"]},
	"buy": {"codes": ["202", "409", "504"], "share": {"202": [0.1, 0.6]}}, "poll": {"codes": ["200"]}}}`

// A plan with a sale is judged by both.
func TestPlanWithASale(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(s *scene)
		plan  string
		red   string
	}{
		{"good", func(*scene) {}, sold, ""},
		{"a slow label", func(*scene) {}, strings.Replace(sold, `"buy": {`, `"buy": {"p50_ms": 1, `, 1), "label"},
		{"a lost order", func(s *scene) { s.orders[0] = s.mint(s.users[0]); s.note("buy", "202", 0, "") }, sold, "P2"},
		{"both", func(s *scene) { s.orders[0] = s.mint(s.users[0]); s.note("buy", "202", 0, "") }, strings.Replace(sold, `"poll"`, `"polls"`, 1), "P2 label"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := goodRun(t, embedded(t))
			c.spoil(s)
			a := s.judge(t, s.results(t), "--plan", planFile(t, c.plan))
			if a.red() != c.red || (a.exit == 0) != (c.red == "") || a.errors != "" {
				t.Errorf("exit %d, red %q; want %q\n%s%s", a.exit, a.red(), c.red, a.out, a.errors)
			}
		})
	}
}

// The figures say the same as the lines.
func TestFigures(t *testing.T) {
	t.Parallel()
	s := goodRun(t, embedded(t))
	s.exec(t, "DELETE FROM orders WHERE id = ?", s.orders[1])
	name := filepath.Join(t.TempDir(), "figures.json")
	a := s.judge(t, s.results(t), "--plan", planFile(t, sold), "--json", name)
	b, err := os.ReadFile(name)
	must(t, err)
	var got struct {
		Plan, Sale string
		Green      bool
		Labels     map[string]struct {
			Count     int
			Codes     map[string]int
			P50       float64 `json:"p50_ms"`
			P99       float64 `json:"p99_ms"`
			PerSecond float64 `json:"per_second"`
		}
		Refusals map[string]int
		Honest   struct {
			Requests int
			Success  float64
		}
		Checks []struct {
			Name   string
			Green  bool
			Faults []string
		}
	}
	must(t, json.Unmarshal(b, &got))
	buy := got.Labels["buy"]
	if a.exit != 1 || got.Green || got.Plan != "a sale" || got.Sale != saleID || buy.Count != 9 || buy.Codes["202"] != 4 || buy.P50 != 40 || buy.P99 != 80 ||
		buy.PerSecond <= 0 || got.Refusals["409"] != 3 || got.Honest.Requests != 30 || got.Honest.Success != 1 {
		t.Errorf("exit %d, %+v", a.exit, got)
	}
	var red []string
	for _, c := range got.Checks {
		if !c.Green && len(c.Faults) > 0 {
			red = append(red, c.Name)
		}
	}
	if strings.Join(red, " ") != a.red() {
		t.Errorf("red are %q, printed were %q", red, a.red())
	}
}

func TestPlanMistakes(t *testing.T) {
	t.Parallel()
	s := goodRun(t, embedded(t))
	good := s.results(t)
	for name, c := range map[string]struct {
		plan string
		args []string
		says string
	}{
		"no JSON":               {"labels", nil, "plan.json: invalid character"},
		"an unknown field":      {`{"labels": {"a": {}}, "p99_ms": 3}`, nil, `unknown field "p99_ms"`},
		"an unknown objective":  {`{"labels": {"a": {"p90_ms": 3}}}`, nil, `unknown field "p90_ms"`},
		"two objects":           {browse + browse, nil, "something follows"},
		"no labels":             {`{"units": 1}`, nil, "labels is empty"},
		"a code that is none":   {`{"labels": {"a": {"codes": ["2xx"]}}}`, nil, `label "a": code "2xx"`},
		"a share upside down":   {`{"labels": {"a": {"share": {"200": [0.5, 0.1]}}}}`, nil, "the least and the most part"},
		"a share in per cent":   {`{"labels": {"a": {"share": {"200": [0, 10]}}}}`, nil, "the least and the most part"},
		"a negative figure":     {`{"labels": {"a": {"p50_ms": -1}}}`, nil, "no figure may be negative"},
		"too much honesty":      {`{"labels": {"a": {}}, "honest_success": 99}`, nil, "honest_success is 99"},
		"negative units":        {`{"labels": {"a": {}}, "units": -1}`, nil, "units is -1"},
		"a sale that it lacks":  {browse, []string{"--sale", "run"}, "this plan has no sale"},
		"a sale that is needed": {sold, nil, "--results and --sale are required"},
		"Redis beside a file":   {sold, append([]string{"--sale", saleID, "--redis", "redis://x"}, s.args...), "--redis and --amqp are of a site with --mysql"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := command(t.Context(), t, append([]string{"--plan", planFile(t, c.plan), "--results", good}, c.args...)...)
			if a.exit != 2 || !strings.Contains(a.errors, c.says) {
				t.Errorf("exit %d, want 2 and %q in %q", a.exit, c.says, a.errors)
			}
		})
	}
	if a := command(t.Context(), t, "--plan", planFile(t, browse), "--results", s.results(t, "who", "outcome")); a.exit != 2 || !strings.Contains(a.errors, "the columns outcome, who are missing") {
		t.Errorf("exit %d, %s", a.exit, a.errors)
	}
	if a := command(t.Context(), t, "--plan", "none.json", "--results", good); a.exit != 2 || !strings.Contains(a.errors, "none.json: no such file") {
		t.Errorf("exit %d, %s", a.exit, a.errors)
	}
}
