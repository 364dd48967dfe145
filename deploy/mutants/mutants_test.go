package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// required are those that the project asks for. There may be more.
var required = []string{
	"no-incarnation-check", "no-seq-check", "no-settle", "no-fence", "ack-waits-for-redis", "dedupe-by-message", "late-sold-out-reply",
	"returns-ignored", "release-on-unknown", "unconditional-stock-update", "expiry-from-redis-side", "restock-before-the-database",
	"id-not-checked-first", "outbox-outside-the-script",
}

func TestRequiredMutants(t *testing.T) {
	t.Parallel()
	all, err := load(".")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, m := range all {
		number, name, ok := strings.Cut(m.file, "-")
		if !ok || len(number) != 2 || there[number] {
			t.Errorf("%s: the name must begin with a number of its own", m.file)
		}
		there[number], there[name] = true, true
	}
	for _, name := range required {
		if !there[name] {
			t.Errorf("there is no mutant %s", name)
		}
	}
}

// Every patch applies to the code as it is, and its test is there.
func TestPatchesFit(t *testing.T) {
	t.Parallel()
	all, err := load(".")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < len(required) {
		t.Fatalf("%d patches", len(all))
	}
	tests := map[string]string{} // what the tests of a package say
	for _, m := range all {
		cmd := exec.CommandContext(t.Context(), "git", "apply", "--check", m.path)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: git apply: %v\n%s", m.file, err, out)
		}
		if _, ok := tests[m.pkg]; !ok {
			tests[m.pkg] = source(t, filepath.Join(root, m.pkg))
		}
		top, sub, _ := strings.Cut(m.test, "/")
		if !strings.Contains(tests[m.pkg], "func "+top+"(") || sub != "" && !strings.Contains(tests[m.pkg], `"`+sub+`"`) {
			t.Errorf("%s: there is no test %s in %s", m.file, m.test, m.pkg)
		}
	}
}

func source(t *testing.T, dir string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

func TestJudge(t *testing.T) {
	t.Parallel()
	m := mutant{breaks: "P2", test: "TestScenarios/repeats"}
	const failed = "--- FAIL: TestScenarios (20.00s)\n    --- FAIL: TestScenarios/repeats (1.00s)\n"
	for name, c := range map[string]struct {
		output string
		failed bool
		caught bool
	}{
		"caught":                    {failed + "        scenario_test.go:12: P2: lost\n", true, true},
		"caught, with more to say":  {failed + "        scenario_test.go:12: P2, gate: lost\n", true, true},
		"caught at the end":         {failed + "    scenario_test.go:12: sale 1 at the end: P2: lost\n", true, true},
		"passes":                    {"ok  \tflashgate/deploy/real\t20.0s\n", false, false},
		"another promise":           {failed + "        scenario_test.go:12: P4: lost\n", true, false},
		"no promise":                {failed + "        scenario_test.go:12: it never happened: the gate opens\n", true, false},
		"the promise in a log line": {failed + "        scenario_test.go:12: it never happened\n{\"msg\":\"P2: lost\"}\n", true, false},
		"another test":              {"--- FAIL: TestScenarios/takeover (1.00s)\n        scenario_test.go:12: P2: lost\n", true, false},
		"a longer name":             {"--- FAIL: TestScenarios/repeats-2 (1.00s)\n        scenario_test.go:12: P2: lost\n", true, false},
		"does not build":            {"FAIL\tflashgate/deploy/real [build failed]\n" + failed + "        scenario_test.go:12: P2: lost\n", true, false},
		"hangs":                     {failed + "        scenario_test.go:12: P2: lost\npanic: test timed out after 8m0s\n", true, false},
	} {
		if v := m.judge(c.output, c.failed); v.caught != c.caught || v.caught == (v.why != "") {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	const good = "Mutant: x\nBreaks: P1\nTest: ./deploy/real TestScenarios/repeats\n\nSafeguard: this.\nTaken out: that.\n\ndiff --git a/x b/x\n"
	if m, err := parse(good); err != nil || m.breaks != "P1" || m.pkg != "./deploy/real" || m.test != "TestScenarios/repeats" {
		t.Errorf("%+v, %v", m, err)
	}
	for _, line := range []string{"Mutant: x", "Breaks: P1", "Test: ./deploy/real TestScenarios/repeats", "Safeguard: this.", "Taken out: that.", "diff --git a/x b/x"} {
		if _, err := parse(strings.Replace(good, line, "", 1)); err == nil {
			t.Errorf("without the line %q it is taken", line)
		}
	}
	for _, p := range []string{"P0", "P6", "P1, P2", ""} {
		if _, err := parse(strings.Replace(good, "P1", p, 1)); err == nil {
			t.Errorf("Breaks: %s is taken", p)
		}
	}
}

func TestPattern(t *testing.T) {
	t.Parallel()
	if got := pattern([]string{"TestA/b", "TestA/c"}); got != "^(TestA|TestA)$/^(b|c)$" {
		t.Error(got)
	}
	if got := pattern([]string{"TestA"}); got != "^(TestA)$" {
		t.Error(got)
	}
}
