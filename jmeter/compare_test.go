package jmeter_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fakeAnswers writes 10 answers a second apart, of the milliseconds that the shell's
// $took says.
const fakeAnswers = nobodyCame + `
i=0
while [ $i -lt 10 ]; do
	echo "$((1000 * i)),$took,buy,202,Accepted,true,o$i,u$i,s,accepted,,"
	i=$((i + 1))
done >>"$results"
[ -z "$rare" ] || echo '1,7,rare,200,OK,true,,,s,,,' >>"$results"
`

// One plan against two targets, A B A B; B takes twice as long, in one round three times.
func TestCompare(t *testing.T) {
	t.Parallel()
	a, b := newShop(t, shop{}), newShop(t, shop{})
	order := filepath.Join(t.TempDir(), "order")
	script := `
case "$all" in *-Jport=` + port(a) + `*) took=100 rare=;; *) took=200 rare=yes;; esac
[ "$took" = 100 ] || [ ! -f "` + order + `.b" ] || took=300
[ "$took" = 100 ] || touch "` + order + `.b"
echo "$took" >>"` + order + "\"\n" + fakeAnswers
	r := load(t, []string{"compare", "-wait", "0s", a, b, "flash-sale"}, "USERS=5", "ROUNDS=2", "JMETER="+fake(t, script),
		"FLASHGATE_LOADTEST_KEY=the-key", "FLASHGATE_DATA_A="+shopFolder(t), "FLASHGATE_DATA_B="+shopFolder(t))
	if r.exit != 1 { // nobody of the sale bought
		t.Errorf("exit %d, want 1\n%s%s", r.exit, r.log, r.out)
	}
	if got := strings.Fields(read(t, order)); strings.Join(got, " ") != "100 200 100 300" {
		t.Errorf("the runs were %v", got)
	}
	text := strings.Join(strings.Fields(r.out), " ")
	for _, want := range []string{
		"buy p50 ms 100 250 2.50 2.00–3.00", "buy p99 ms 100 250 2.50 2.00–3.00",
		"buy requests/s 1.1 1.08 0.98 0.98–0.99",
		"rare p50 ms - 7 - not in every run",
		"a verdict was red",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, r.out)
		}
	}
}

func port(address string) string { return address[strings.LastIndex(address, ":")+1:] }

func TestComparisonsThatCannotBe(t *testing.T) {
	t.Parallel()
	up := newShop(t, shop{})
	good := []string{"JMETER=" + fake(t, nobodyCame), "FLASHGATE_LOADTEST_KEY=the-key", "FLASHGATE_DATA=" + shopFolder(t)}
	for _, c := range []struct {
		name string
		args []string
		env  string
		says string
	}{
		{"one target", []string{up, "", "flash-sale"}, "", "say two targets and one plan"},
		{"no plan", []string{up, up, ""}, "", "say two targets and one plan"},
		{"another plan", []string{up, up, "flash-sail"}, "", `no plan "flash-sail"; there are `},
		{"one is not there", []string{up, "http://127.0.0.1:1", "flash-sale"}, "", "B, round 1: http://127.0.0.1:1 does not answer"},
		{"a password", []string{up, "http://ann:pass@127.0.0.1:1", "flash-sale"}, "", "B, round 1: the target must be an address such as"},
		{"a sale for both", []string{up, up, "flash-sale"}, "SALE=one", "USERS_CSV and SALE are for one run"},
		{"no rounds", []string{up, up, "flash-sale"}, "ROUNDS=0", `ROUNDS is "0"`},
		{"a Caddyfile that is not there", []string{"demo:none", up, "flash-sale"}, "", "none: no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := load(t, append([]string{"compare", "-wait", "0s"}, c.args...), append(good, "USERS=5", c.env)...)
			if r.exit != 2 || !strings.Contains(r.says(), c.says) || strings.Contains(r.out, "requests/s") || strings.Contains(r.log, "ann:pass") {
				t.Errorf("exit %d, want 2 and %q in\n%s%s", r.exit, c.says, r.log, r.out)
			}
		})
	}
}

// The history has a line for each run, also a red one, and never the key.
func TestHistory(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "a", "history.jsonl")
	for range 2 {
		r := load(t, []string{"run", "-wait", "0s", "-history", file, "-Jpay=7", "-Jkey=the-key", "-Jflash-sale.key=the-key", "-Jsoak.key=the-key", "-Jserver.rmi.ssl.keystore.password=the-key", "flash-sale"}, "USERS=5", "UNITS=3", "JMETER="+fake(t, "took=100\n"+fakeAnswers),
			"TARGET="+newShop(t, shop{}), "FLASHGATE_LOADTEST_KEY=the-key", "FLASHGATE_DATA="+shopFolder(t))
		if r.exit != 1 {
			t.Fatalf("exit %d\n%s%s", r.exit, r.log, r.out)
		}
	}
	text := read(t, file)
	if strings.Contains(text, "the-key") || strings.Count(text, "\n") != 2 {
		t.Errorf("want two lines without the key:\n%s", text)
	}
	for line := range strings.Lines(text) {
		var e struct {
			Time    time.Time
			Machine struct {
				Cores           int
				Memory          int `json:"memory_mib"`
				CPU, Go, JMeter string
				OperatingSystem string `json:"os"`
			}
			Plan, Target, Verdict string
			Users, Units          int
			Properties            map[string]string
			Labels                map[string]struct {
				Count     int
				Codes     map[string]int
				PerSecond float64 `json:"per_second"`
				P95       float64 `json:"p95_ms"`
			}
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		buy := e.Labels["buy"]
		if e.Plan != "flash-sale" || e.Target != "site" || e.Verdict != "red" || e.Users != 5 || e.Units != 3 || e.Properties["pay"] != "7" ||
			e.Machine.Cores < 1 || e.Machine.Memory < 1 || !strings.HasPrefix(e.Machine.Go, "go1.") || e.Machine.JMeter != "5.6.3" || time.Since(e.Time) > time.Hour ||
			buy.Count != 10 || buy.Codes["202"] != 10 || buy.P95 != 100 || buy.PerSecond < 1.09 || buy.PerSecond > 1.1 {
			t.Errorf("%+v of\n%s", e, line)
		}
	}
}

// A signal ends JMeter with what it has started, and the demo; nothing else.
func TestSignal(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	pids := filepath.Join(folder, "pids")
	script := `sleep 600 >/dev/null 2>&1 & echo $! >"` + pids + `.new"; mv "` + pids + `.new" "` + pids + `"; echo "JMeter runs" >&2; wait`
	cmd, _ := prepared(t.Context(), t, []string{"run", "flash-sale"}, "USERS=5", "JMETER="+fake(t, script))
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for lines := bufio.NewScanner(log); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if lines.Text() == "JMeter runs" {
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(said.String(), "stopped by a signal") {
		t.Errorf("exit %d, want 2\n%s", cmd.ProcessState.ExitCode(), said.String())
	}
	pid := strings.TrimSpace(read(t, pids))
	if b, err := os.ReadFile("/proc/" + pid + "/cmdline"); err == nil && strings.HasPrefix(string(b), "sleep") {
		t.Errorf("what JMeter has started (%s) still runs", pid)
	}
	ran{log: said.String()}.gone(t)
}
