package jmeter_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/sqlite"
)

var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "load")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "load")
		if out, err := exec.Command("go", "build", "-o", binary, "./load").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%s\n%v\n", out, err)
			return 1
		}
		return m.Run()
	}())
}

// ran is a run of the command that has ended.
type ran struct {
	exit       int
	out, log   string // standard output and standard error
	resultsDir string
}

// prepared is the command with a folder for its results, and the settings env alone.
func prepared(ctx context.Context, t *testing.T, args []string, env ...string) (*exec.Cmd, string) {
	t.Helper()
	// go test keeps a result until a file changes that a test itself has read.
	for _, pattern := range []string{"*.jmx", "*.json", "*.xml", "*.properties", "*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no files %s (%v)", pattern, err)
		}
		for _, name := range files {
			read(t, name)
		}
	}
	folder := t.TempDir()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = []string{"OUT=" + folder}
	for _, e := range os.Environ() {
		// What a developer has set for a site of theirs is not for this one.
		switch name, _, _ := strings.Cut(e, "="); name {
		case "PATH", "HOME", "GOCACHE", "GOMODCACHE", "GOFLAGS", "GOPATH", "GOPROXY", "JAVA_HOME", "MAVEN_OPTS", "LANG", "TMPDIR":
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	return cmd, folder
}

// load runs the command.
func load(t *testing.T, args []string, env ...string) ran {
	t.Helper()
	cmd, folder := prepared(t.Context(), t, args, env...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return ran{exit: cmd.ProcessState.ExitCode(), out: out.String(), log: log.String(), resultsDir: folder}
}

func (r ran) file(t *testing.T, name string) string {
	t.Helper()
	return read(t, filepath.Join(r.resultsDir, name))
}

// says is what the command itself has to say: its lines on standard error.
func (r ran) says() string {
	var own []string
	for line := range strings.Lines(r.log) {
		if strings.HasPrefix(line, "load: ") {
			own = append(own, line)
		}
	}
	return strings.Join(own, "")
}

var target = regexp.MustCompile(`(?m)^load: \S+ at http://([^\s,]+)`)

// gone checks that the demos of a run have ended with it.
func (r ran) gone(t *testing.T) {
	t.Helper()
	all := target.FindAllStringSubmatch(r.log, -1)
	if len(all) == 0 {
		t.Errorf("no target in\n%s", r.log)
	}
	for _, m := range all {
		if c, err := net.Dial("tcp", m[1]); err == nil {
			c.Close()
			t.Errorf("somebody still listens at %s", m[1])
		}
	}
}

// noFaults: a fault of the plan itself is no failed sample, only a line in JMeter's log.
func (r ran) noFaults(t *testing.T, plan string) {
	t.Helper()
	for line := range strings.Lines(r.file(t, plan+"/jmeter.log")) {
		if strings.Contains(line, " ERROR ") {
			t.Errorf("%s: %s", plan, line)
		}
	}
}

// quick are Java's options for runs of some seconds, which never pay for better code.
const quick = "HEAP=-Xms64m -Xmx512m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"

// The first assembles JMeter where there is none yet. The others wait most of their time.
func TestWithJMeter(t *testing.T) {
	t.Parallel()
	t.Run("flash sale", testFlashSale)
	t.Run("then", func(t *testing.T) {
		t.Run("every plan", testEveryPlan)
		t.Run("honest buyers", testHonestBuyers)
		t.Run("buyers who are told", testBuyersWhoAreTold)
		t.Run("settings", testThePlanLooksAtItsSettings)
		t.Run("real servers", testFlashSaleOnRealServers)
	})
}

// soldAndLeft: who cancels gives a unit back, which somebody may get or not.
var soldAndLeft = regexp.MustCompile(`50 units seeded, (4[0-9]|50) in live orders, ([0-9]|10) left`)

// The whole way: JMeter out of Maven, a demo, 200 buyers for 50 units, the verdict.
func testFlashSale(t *testing.T) {
	const key = "a-key-that-is-secret\\: =#!x"
	r := load(t, []string{"run", "flash-sale"}, "UNITS=50", "FLASHGATE_LOADTEST_KEY="+key)
	if r.exit != 0 || !soldAndLeft.MatchString(r.out) || !regexp.MustCompile(`(?m)^pay +[0-9]+ × 200$`).MatchString(r.out) || !strings.Contains(r.out, "verdict: green") {
		t.Fatalf("exit %d\n%s%s", r.exit, r.log, r.out)
	}
	r.gone(t)
	r.noFaults(t, "flash-sale")
	if info, err := os.Stat(filepath.Join(r.resultsDir, "flash-sale", "jmeter.log")); err != nil || info.Mode() != 0o600 || info.Size() == 0 {
		t.Errorf("JMeter's log is %v, %v", info, err)
	}
	wantNowhere(t, r.resultsDir, key[:20])
	if page := r.file(t, "flash-sale/report/index.html"); !strings.Contains(page, "Apache JMeter Dashboard") {
		t.Error("the report is not JMeter's")
	}
}

// fake is a JMeter that runs a shell script; $results is the results file's name, $all
// are the options.
func fake(t *testing.T, script string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "jmeter")
	text := "#!/bin/sh\ncase $1 in --version) echo 5.6.3; exit;; esac\nall=\"$*\"\nwhile [ \"$1\" != -l ]; do shift; done\nresults=$2\n" + script + "\n"
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

// saleFolder is a data folder with a sale that is open.
func saleFolder(t *testing.T, id flashgate.SaleID) string {
	t.Helper()
	dir := shopFolder(t)
	store, err := sqlite.Open(filepath.Join(dir, "flashgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	sale := flashgate.Sale{ID: id, Goods: "1", Starts: now.Add(-time.Minute), Ends: now.Add(time.Hour), PerUser: 1, Seeded: 10}
	if err := errors.Join(store.CreateSale(t.Context(), sale), store.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// nobodyCame is a results file without purchases.
const nobodyCame = `echo timeStamp,elapsed,label,responseCode,responseMessage,success,order,user,sale,outcome,status,who >"$results"`

func TestExitStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, script string
		exit         int
		says         string
	}{
		{"nobody came", nobodyCame, 1, "verdict: RED"},
		{"JMeter fails", "exit 3", 2, "JMeter failed"},
		{"no results file", "exit 0", 2, "results.jtl: no such file"},
		{"not with our properties", `echo label >"$results"`, 2, "-q jmeter/flashgate.properties"},
		{"a full disk", nobodyCame + "\necho 'summary +  300 in 00:00:01 = 300.0/s Avg:'; echo 'summary =   7763 in 00:00:13 =  605.4/s Avg:'", 2, "has 0 of the 7763 samples"},
		{"the plan's own check", nobodyCame + "\n" + `echo '1,1,setup,setup,"sale 1 has ended, it says",false,,,,,,' >>"$results"`, 2, "sale 1 has ended, it says"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			folder := shopFolder(t)
			r := load(t, []string{"run", "-wait", "0s", "flash-sale"}, "USERS=5", "JMETER="+fake(t, c.script),
				"TARGET="+newShop(t, shop{}), "FLASHGATE_LOADTEST_KEY=the-key", "FLASHGATE_DATA="+folder)
			if r.exit != c.exit || !strings.Contains(r.out+r.says(), c.says) {
				t.Errorf("exit %d, want %d and %q in\n%s%s", r.exit, c.exit, c.says, r.log, r.out)
			}
			nothingLeft(t, folder)
		})
	}
}

// nothingLeft: however a run ended, its sale went with it.
func nothingLeft(t *testing.T, folder string) {
	t.Helper()
	store, err := sqlite.Open(filepath.Join(folder, "flashgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if sales, err := store.Sales(t.Context()); err != nil || len(sales) != 0 {
		t.Errorf("%d sales are left, %v", len(sales), err)
	}
}

// A run whose figures cannot be read has no verdict, whatever the verdict was.
func TestFiguresThatAreNotThere(t *testing.T) {
	t.Parallel()
	folder := shopFolder(t)
	cmd, out := prepared(t.Context(), t, []string{"run", "-wait", "0s", "flash-sale"}, "USERS=5", "JMETER="+fake(t, nobodyCame),
		"TARGET="+newShop(t, shop{}), "FLASHGATE_LOADTEST_KEY=the-key", "FLASHGATE_DATA="+folder)
	if err := errors.Join(os.Mkdir(filepath.Join(out, "flash-sale"), 0o700), os.Symlink(os.DevNull, filepath.Join(out, "flash-sale", "verdict.json"))); err != nil {
		t.Fatal(err)
	}
	said, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(said), "verdict.json") {
		t.Errorf("%v\n%s", err, said)
	}
	nothingLeft(t, folder)
}

// A folder that is not the site's is left as it is.
func TestAnotherFolder(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "typo")
	for _, more := range [][]string{nil, {"SALE=one", "USERS_CSV=" + usersFile(t, fiveUsers)}} {
		r := load(t, []string{"run", "flash-sale"}, append(more, "USERS=5", "JMETER="+fake(t, "echo JMeter was started >&2"),
			"TARGET="+newShop(t, shop{}), "FLASHGATE_LOADTEST_KEY=the-key", "FLASHGATE_DATA="+folder)...)
		if r.exit != 2 || !strings.Contains(r.says(), "has no flashgate.db: FLASHGATE_DATA is not the site's") || strings.Contains(r.log, "was started") {
			t.Errorf("exit %d\n%s%s", r.exit, r.log, r.out)
		}
		if _, err := os.Stat(folder); err == nil {
			t.Error("the folder was made")
		}
	}
}

// Two runs into one folder would mix their results.
func TestOneFolderForTwo(t *testing.T) {
	t.Parallel()
	folder, signal := shopFolder(t), t.TempDir()
	settings := []string{"USERS=5", "TARGET=" + newShop(t, shop{}), "FLASHGATE_LOADTEST_KEY=the-key", "FLASHGATE_DATA=" + folder}
	script := "touch " + signal + "/begun; until test -e " + signal + "/end; do sleep 0.05; done\n" + nobodyCame
	first, out := prepared(t.Context(), t, []string{"run", "-wait", "0s", "flash-sale"}, append(settings, "JMETER="+fake(t, script))...)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- first.Wait() }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(filepath.Join(signal, "begun")); err == nil {
			break
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-tick.C:
		}
	}
	second := load(t, []string{"run", "-wait", "0s", "flash-sale"}, append(settings, "JMETER="+fake(t, nobodyCame), "OUT="+out)...)
	if second.exit != 2 || !strings.Contains(second.says(), "is another run's: set OUT to another folder") {
		t.Errorf("exit %d\n%s%s", second.exit, second.log, second.out)
	}
	if err := os.WriteFile(filepath.Join(signal, "end"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if <-ended; first.ProcessState.ExitCode() != 1 {
		t.Errorf("the first ended with %d", first.ProcessState.ExitCode())
	}
}
