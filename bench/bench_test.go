package main

import (
	"cmp"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"flashgate/bench/wrk"
)

func TestParseLoad(t *testing.T) {
	t.Parallel()
	out := "Running 2s test @ http://127.0.0.1:1/\n  64 connections\nRESULT {\"requests\":10,\"microseconds\":2000000,\"refused\":3,\"failed\":1,\"p50\":5,\"p99\":9}\n"
	l, err := wrk.Parse([]byte(out))
	if err != nil || l.Requests != 10 || l.Microseconds != 2e6 || l.Refused != 3 || l.Failed != 1 || l.P50 != 5 || l.P99 != 9 {
		t.Errorf("got %+v, %v", l, err)
	}
	if _, err := wrk.Parse([]byte("Running 2s test\n")); err == nil {
		t.Error("an output without a result must be an error")
	}
}

func TestLoadCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		load    wrk.Load
		refused bool
		leaks   int64
		ok      bool
	}{
		{"allowed", wrk.Load{Requests: 9, Microseconds: 1, Bytes: 900}, false, 0, true},
		{"refused", wrk.Load{Requests: 9, Microseconds: 1, Refused: 9, Bytes: 900}, true, 0, true},
		{"one refused", wrk.Load{Requests: 9, Microseconds: 1, Refused: 1, Bytes: 900}, false, 0, false},
		{"one allowed", wrk.Load{Requests: 9, Microseconds: 1, Refused: 8, Bytes: 900}, true, 0, false},
		{"one leaks", wrk.Load{Requests: 9, Microseconds: 1, Refused: 8, Bytes: 900}, true, 1, true},
		{"one without an answer", wrk.Load{Requests: 9, Microseconds: 1, Failed: 1}, false, 0, false},
		{"a short one", wrk.Load{Requests: 9, Microseconds: 1, Bytes: 17}, false, 0, false},
		{"a long one", wrk.Load{Requests: 9, Microseconds: 1, Bytes: 90_000}, false, 0, false},
		{"nothing", wrk.Load{}, false, 0, false},
	} {
		if err := check(c.load, c.refused, c.leaks, 2); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	if s := spreadOf([]float64{4, 1, 3}); s != (spread{3, 1, 4}) {
		t.Error(s)
	}
	if s := spreadOf([]float64{4, 1, 3, 2}); s != (spread{2.5, 1, 4}) {
		t.Error(s)
	}
	if s := spreadOf(nil); s != (spread{}) {
		t.Error(s)
	}
}

// A ratio is made of what was measured in the same round, not of two medians: here the
// machine gets ten times slower, and the row always does half of the first one.
func TestRatiosWithinRounds(t *testing.T) {
	t.Parallel()
	g := newGroupResult(allGroups()[0])
	for i := range g.Rows {
		for round, speed := range []float64{1000, 100, 300} {
			s := sample{Round: round + 1, PerSecond: speed, ServerCPU: 10}
			if g.Rows[i].Name == limit {
				s.PerSecond, s.ServerCPU = speed/2, 15
			}
			g.Rows[i].Samples = append(g.Rows[i].Samples, s)
		}
	}
	g.sum()
	r := g.row(limit)
	if r.Ratio != (spread{0.5, 0.5, 0.5}) || r.CPURatio != (spread{1.5, 1.5, 1.5}) || r.PerSecond != (spread{150, 50, 500}) {
		t.Errorf("got %+v %+v %+v", r.Ratio, r.CPURatio, r.PerSecond)
	}
	if n := g.row(nginxLimit); n.BaselineRatio == nil || n.BaselineRatio.Median != 1 {
		t.Errorf("baseline: %+v", n.BaselineRatio)
	}
	goals := judge([]groupResult{g}, keyMemory{})
	for i, want := range []string{"missed", "missed", "not measured"} {
		if goals[i].Verdict != want {
			t.Errorf("goal %+v: want %s", goals[i], want)
		}
	}
	for i := range g.row(limit).Samples {
		g.row(limit).Samples[i].PerSecond *= 2.8
	}
	if goals := judge([]groupResult{g}, keyMemory{}); goals[0].Verdict != "met" || goals[1].Verdict != "met" {
		t.Errorf("goals: %+v", goals[:2])
	}
	// The median misses the first goal, of 0.9, by so little that a round met it.
	for i := range g.row(limit).Samples {
		g.row(limit).Samples[i].PerSecond *= []float64{0.89, 0.88, 0.91}[i] / 1.4
	}
	if goals := judge([]groupResult{g}, keyMemory{}); goals[0].Verdict != "missed within the noise" {
		t.Errorf("goals: %+v", goals[:1])
	}
}

// The goal about memory looks at the worst moment.
func TestMemoryGoal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		memory keyMemory
		want   string
	}{
		{keyMemory{}, "not measured"},
		{keyMemory{PerKey: 84, AtWorst: 120}, "met"},
		{keyMemory{PerKey: 84, AtWorst: 201}, "missed"},
		{keyMemory{PerKey: 201, AtWorst: 120}, "missed"},
		{measureMemory(100_000), "met"},
	} {
		goals := judge(nil, c.memory)
		if g := goals[len(goals)-1]; !g.AtMost || g.Verdict != c.want {
			t.Errorf("%+v: %s, want %s", c.memory, g, c.want)
		}
	}
}

func TestSelectRows(t *testing.T) {
	t.Parallel()
	for only, want := range map[string]string{
		"denied/caddy":  "denied/respond denied/caddy-ratelimit denied/caddy-ratelimit, log ERROR",
		"keys/nginx li": "keys/respond keys/nginx keys/nginx limit_req",
		"lease":         "redis/respond redis/in memory redis/with Redis, lease 100",
		"lease|no/such": "redis/respond redis/in memory redis/with Redis, lease 100",
		"no such row":   "",
	} {
		got := strings.Join(strings.Fields(strings.ReplaceAll(names(selectRows(allGroups(), only)), "\n", " ")), " ")
		if got != want {
			t.Errorf("%s: got %q, want %q", only, got, want)
		}
	}
	if got, want := names(selectRows(allGroups(), "")), names(allGroups()); got != want {
		t.Errorf("without a filter:\n%s\nwant\n%s", got, want)
	}
}

// Every goal speaks of rows that are there.
func TestGoalsHaveRows(t *testing.T) {
	t.Parallel()
	all := names(allGroups())
	for _, g := range allGoals() {
		if g.Group == memoryGroup {
			continue
		}
		for _, row := range []string{g.Row, g.Against} {
			if row != "" && !strings.Contains(all, "  "+g.Group+"/"+row+"\n") {
				t.Errorf("%s/%s is no row", g.Group, row)
			}
		}
	}
}

// The rows' configurations differ from the bare one in the lines of the row alone.
func TestCaddyfile(t *testing.T) {
	t.Parallel()
	for _, g := range allGroups() {
		plain := g.rows[0].caddyfile(80)
		for _, r := range g.rows {
			if r.server != caddyServer || r.stock != noStock {
				continue
			}
			got := r.caddyfile(80)
			if r.last != "" {
				got = strings.Replace(got, r.last, cmp.Or(g.rows[0].last, `respond "ok"`), 1)
			}
			for _, lines := range []string{r.site, r.global} {
				if lines != "" {
					got = strings.Replace(got, lines+"\n", "", 1)
				}
			}
			if strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(plain), " ") {
				t.Errorf("%s/%s:\n%s\nwant\n%s", g.name, r.name, got, plain)
			}
		}
	}
}

// What is not there is named, all of it.
func TestMissingPrograms(t *testing.T) {
	t.Parallel()
	_, err := lookUp("sh", "flashgate-no-such", "flashgate-nor-this")
	if want := "apt-get install --no-install-recommends flashgate-no-such flashgate-nor-this"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v, want …%s", err, want)
	}
	if paths, err := lookUp("sh"); err != nil || len(paths) != 1 || !filepath.IsAbs(paths[0]) {
		t.Errorf("sh: %q, %v", paths, err)
	}
}

// A whole run of the shortest kind: one row that refuses and its baseline.
func TestRun(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out.json")
	if err := run(t.Context(), []string{"-rounds", "1", "-slice", "1s", "-only", "denied/access_limit sensitive", "-out", out}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var r result
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Groups) != 1 || len(r.Groups[0].Rows) != 2 || r.Schema != 2 {
		t.Fatalf("got %s", b)
	}
	for _, row := range r.Groups[0].Rows {
		if row.PerSecond.Median <= 0 || row.ServerCPU <= 0 || row.LoadCPU <= 0 || len(row.Samples) != 1 {
			t.Errorf("%s: %+v", row.Name, row)
		}
	}
}

// A cache's hits are the whole page, and a client that has it is told so.
func TestRunPages(t *testing.T) {
	t.Parallel()
	for _, only := range []string{"page/page_cache", "304/Varnish"} {
		if err := run(t.Context(), []string{"-rounds", "1", "-slice", "1s", "-only", only}); err != nil {
			t.Errorf("%s: %v", only, err)
		}
	}
}

// A row that does not do what it says ends the run.
func TestWrongRow(t *testing.T) {
	t.Parallel()
	b, err := newBench(t.Context(), settings{Rounds: 1, Seconds: 1, Connections: 4, Threads: 1, Keys: 10}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	})
	for _, c := range []struct {
		row  row
		want string
	}{
		{row{name: "allows", server: caddyServer, site: "access_limit 1000000 1h by all", status: 429}, "must be 429, it is 200"},
		{row{name: "refuses", server: caddyServer, site: deny}, `must be 200, it is 429`},
		{row{name: "another body", server: nginxServer, site: "return 200 \"no\";"}, `must be 200 and "ok"`},
		{row{name: "no server", server: caddyServer, site: "no_such_directive"}, "ended at its start"},
	} {
		err := b.start(t.Context(), []group{{name: "wrong", rows: []row{c.row}}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.row.name, err, c.want)
		}
	}
	if b.nginx, err = exec.LookPath("false"); err != nil {
		t.Fatal(err)
	}
	if err := b.start(t.Context(), []group{{rows: []row{{name: "ends", server: nginxServer}}}}); err == nil {
		t.Error("a server that ends at once must be an error")
	}
}
