package jmeter_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"flashgate"
	"flashgate/internal/sqlite"
)

// ran is a run of run.sh that has ended.
type ran struct {
	exit       int
	out, log   string // standard output and standard error
	resultsDir string
}

// run runs run.sh, on a demo of its own unless env says otherwise.
func run(t *testing.T, env ...string) ran {
	t.Helper()
	r := ran{resultsDir: t.TempDir()}
	// go test keeps a result until a file changes that a test itself has read.
	for _, name := range []string{"run.sh", "pom.xml", "flash-sale.jmx", "flashgate.properties"} {
		read(t, name)
	}
	cmd := exec.CommandContext(t.Context(), "./run.sh")
	cmd.Env = []string{"OUT=" + r.resultsDir}
	for _, e := range os.Environ() {
		// What a developer has set for a site of theirs is not for this one.
		switch name, _, _ := strings.Cut(e, "="); name {
		case "PATH", "HOME", "GOCACHE", "GOMODCACHE", "GOFLAGS", "GOPATH", "GOPROXY", "JAVA_HOME", "MAVEN_OPTS", "LANG", "TMPDIR":
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	r.exit, r.out, r.log = cmd.ProcessState.ExitCode(), out.String(), log.String()
	return r
}

func (r ran) file(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(r.resultsDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var target = regexp.MustCompile(`buyers at http://(\S+), sale`)

// gone checks that the demo of a run has ended with it.
func (r ran) gone(t *testing.T) {
	t.Helper()
	m := target.FindStringSubmatch(r.log)
	if m == nil {
		t.Errorf("no target in\n%s", r.log)
		return
	}
	if c, err := net.Dial("tcp", m[1]); err == nil {
		c.Close()
		t.Errorf("somebody still listens at %s", m[1])
	}
}

// One after the other: the first assembles JMeter where there is none yet.
func TestPlan(t *testing.T) {
	t.Parallel()
	t.Run("flash sale", testFlashSale)
	t.Run("honest buyers", testHonestBuyers)
}

// The whole way: JMeter out of Maven, a demo, 200 buyers for 50 units, the verdict.
func testFlashSale(t *testing.T) {
	r := run(t, "USERS=200", "UNITS=50", "RAMP_UP=2")
	for _, want := range []string{
		"buy      50 × 202, 150 × 409\n", "path     200 × 200\n",
		"200 buyers pressed", "50 units seeded, 50 in live orders, 0 left", "verdict: green",
	} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%q was not printed", want)
		}
	}
	if r.exit != 0 || t.Failed() {
		t.Fatalf("exit %d\n%s%s", r.exit, r.log, r.out)
	}
	r.gone(t)
	// A fault of the plan itself is no failed sample, only a line in JMeter's log.
	for line := range strings.Lines(r.file(t, "jmeter.log")) {
		if strings.Contains(line, " ERROR ") {
			t.Error(line)
		}
	}
	if page := r.file(t, "report/index.html"); !strings.Contains(page, "Apache JMeter Dashboard") {
		t.Error("the report is not JMeter's")
	}
}

// fake is a JMeter that runs a shell script; $results is the results file's name.
func fake(t *testing.T, script string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "jmeter")
	text := "#!/bin/sh\nwhile [ \"$1\" != -l ]; do shift; done\nresults=$2\n" + script + "\n"
	if err := os.WriteFile(name, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}

// shopFolder is a data folder with the product that the run's sale is of.
func shopFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	store, err := sqlite.Open(filepath.Join(dir, "flashgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(store.PutGoods(t.Context(), flashgate.Goods{ID: "1", Title: "Kettle", Price: 1000}), store.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestExitStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, script string
		exit         int
		says         string
	}{
		{"nobody came", `echo timeStamp,elapsed,label,responseCode,order,user,sale,status >"$results"`, 1, "verdict: RED"},
		{"JMeter fails", "exit 3", 2, "JMeter failed"},
		{"no results file", "exit 0", 2, "results.jtl: no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := run(t, "USERS=5", "JMETER="+fake(t, c.script),
				"TARGET=http://127.0.0.1:1", "FLASHGATE_LOADTEST_KEY=k", "FLASHGATE_DATA="+shopFolder(t))
			if r.exit != c.exit || !strings.Contains(r.out+r.log, c.says) {
				t.Errorf("exit %d, want %d and %q in\n%s%s", r.exit, c.exit, c.says, r.log, r.out)
			}
		})
	}
}

func TestSettingsThatDoNotFit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		env  []string
		says string
	}{
		{"no key", []string{"TARGET=http://127.0.0.1:1", "FLASHGATE_DATA=" + t.TempDir()}, "set FLASHGATE_LOADTEST_KEY"},
		{"no database", []string{"TARGET=http://127.0.0.1:1", "FLASHGATE_LOADTEST_KEY=k"}, "set FLASHGATE_DATA or MYSQL_DSN"},
		{"users of nowhere", []string{"USERS_CSV=users.csv"}, "say which, with TARGET"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if r := run(t, c.env...); r.exit != 2 || !strings.Contains(r.log, c.says) {
				t.Errorf("exit %d, want 2 and %q in\n%s", r.exit, c.says, r.log)
			}
		})
	}
}
