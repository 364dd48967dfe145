package command_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"flashgate"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	timeForm  = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
	buildForm = regexp.MustCompile(`orderworker \S+ go\S+\n`)
)

// desk is an operator's desk: a data folder, and the transcript of a session on it.
type desk struct {
	t          *testing.T
	dir        string
	env        map[string]string
	names      *strings.Replacer // what differs from run to run
	transcript strings.Builder
}

func (d *desk) run(args ...string) { d.t.Helper(); d.typing("", false, args...) }

// typing answers the command's question.
func (d *desk) typing(stdin string, interactive bool, args ...string) {
	d.t.Helper()
	exit, stdout, stderr := call(d.t.Context(), d.env, stdin, interactive, args...)
	fmt.Fprintf(&d.transcript, "$ orderworker %s\n%s", strings.Join(args, " "), stdout)
	if stderr != "" {
		fmt.Fprintf(&d.transcript, "--- stderr\n%s\n", strings.TrimSuffix(stderr, "\n"))
	}
	fmt.Fprintf(&d.transcript, "--- exit %d\n\n", exit)
}

// golden compares the transcript with testdata/NAME.golden.
func (d *desk) golden(name string) {
	d.t.Helper()
	got := d.names.Replace(d.transcript.String())
	got = timeForm.ReplaceAllString(got, "<time>")
	got = buildForm.ReplaceAllString(got, "orderworker <version> <go>\n")
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			d.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		d.t.Fatal(err)
	}
	if got != string(want) {
		d.t.Errorf("differs from %s; look at it, and if it is right run: go test ./orderworker/command -update\ngot:\n%s", path, got)
	}
}

func TestSaleCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	d := &desk{t: t, dir: dir, env: map[string]string{"FLASHGATE_DATA": dir}, names: strings.NewReplacer(dir, "<data>")}
	d.run("sale", "list")
	d.run("sale", "list", "--json")
	d.run("sale", "close", "nowhere")
	createSale(t, s, "open", 100, -time.Hour, time.Hour)
	createSale(t, s, "soon", 50, time.Hour, 2*time.Hour)
	createSale(t, s, "past", 10, -2*time.Hour, -time.Hour)
	if _, err := s.Reserve(t.Context(), "open", []flashgate.Reservation{reservation("open", "ann")}); err != nil {
		t.Fatal(err)
	}
	d.run("sale", "list")
	d.run("sale", "list", "--json")
	d.run("sale", "restock", "soon", "5") // not started is not ended
	d.run("sale", "open", "soon")
	d.run("sale", "open", "open")
	d.run("sale", "restock", "past", "5")
	d.run("sale", "open", "past")
	d.run("sale", "open", "past", "--for", "90m")
	d.run("sale", "close", "past")
	d.run("sale", "close", "past")
	d.run("sale", "open", "past", "--until", "2100-01-01T00:00:00Z", "--json")
	d.run("sale", "restock", "open", "25")
	d.run("sale", "restock", "nowhere", "25")
	d.run("sale", "restock", "nowhere", "25", "--json")
	d.run("sale", "restock", "open", "0")
	d.run("sale", "restock", "open", "-5")
	d.run("sale", "restock", "open", "-5", "--json")
	d.run("sale", "restock", "open", "5", "-x")
	d.run("sale", "restock", "open", "many", "--json")
	d.run("sale", "restock", "open")
	d.run("sale", "restock", "open", "1000000000")
	d.run("sale", "open", "soon", "--for", "1 day")
	d.run("sale", "open", "soon", "--for", "-5m")
	d.run("sale", "open", "soon", "--until", "tomorrow")
	d.run("sale", "open", "soon", "--until", "2001-01-01T00:00:00Z")
	d.run("sale", "open", "soon", "--until", "2100-01-01T00:00:00Z", "--for", "1h")
	d.run("sale", "close", "not/an/id")
	d.run("sale")
	d.run("sale", "opne", "soon")
	d.golden("sale")

	// What was printed is what is in the database and at the gate.
	ctx := t.Context()
	sale, err := s.Sale(ctx, "open")
	if err != nil || sale.Seeded != 125 || sale.StockLeft != 125 {
		t.Errorf("after restocking: %+v, %v", sale, err)
	}
	for _, id := range []flashgate.SaleID{"soon", "past"} {
		gate, err := s.View(ctx, id)
		if err != nil || flashgate.PhaseAt(gate.Now, gate.Starts, gate.Ends) != flashgate.PhaseOpen {
			t.Errorf("the gate of %s after opening: %+v, %v", id, gate, err)
		}
	}
	past, err := s.Sale(ctx, "past")
	if err != nil || !past.Ends.Equal(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("opened until 2100: %+v, %v", past, err)
	}
}

func TestOrderCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx := t.Context()
	s := openStore(t, dir)
	createSale(t, s, "1", 10, -time.Hour, time.Hour)
	placed, held := reservation("1", "ann"), reservation("1", "bob")
	if _, err := s.Reserve(ctx, "1", []flashgate.Reservation{placed, held}); err != nil {
		t.Fatal(err)
	}
	early, dropped := reservation("9", "cid"), reservation("9", "dan")
	for _, r := range []flashgate.Reservation{placed, early, dropped} {
		if _, err := s.Decide(ctx, r.Order.Sale(), []flashgate.Reservation{r}, time.Hour); err != nil {
			t.Fatal(err)
		}
		// Dead letters are listed by age, in milliseconds.
		decided := time.Now().UnixMilli()
		eventually(t, "another millisecond", func() bool { return time.Now().UnixMilli() > decided })
	}
	letter := flashgate.DeadLetter{Order: "unreadable.00ff", Record: []byte("\x1b[31mnot a message\n"), Reason: flashgate.ReasonUnreadable, Detail: "it is not JSON"}
	if err := s.DeadLetter(ctx, letter); err != nil {
		t.Fatal(err)
	}
	ids := map[string]flashgate.Reservation{"<placed>": placed, "<held>": held, "<early>": early, "<dropped>": dropped}
	pairs := []string{dir, "<data>"}
	for name, r := range ids {
		pairs = append(pairs, string(r.Order), name)
	}
	d := &desk{t: t, dir: dir, env: map[string]string{"FLASHGATE_DATA": dir}, names: strings.NewReplacer(pairs...)}
	id := func(r flashgate.Reservation) string { return string(r.Order) }

	d.run("orders", "show", id(placed))
	d.run("orders", "show", id(placed), "--json")
	d.run("orders", "show", id(held))
	d.run("orders", "show", id(early))
	d.run("orders", "show", "unreadable.00ff")
	d.run("orders", "show", "1.made-up")
	d.run("orders", "show")
	d.run("orders", "dead")
	d.run("orders", "dead", "--max", "1", "--json")
	d.run("orders", "dead", "--max", "0")
	d.run("orders", "replay", id(early))
	createSale(t, s, "9", 10, -time.Hour, time.Hour)
	d.run("orders", "replay", id(early))
	d.run("orders", "replay", id(early))
	d.run("orders", "replay", "unreadable.00ff")
	d.run("orders", "replay", "1.made-up", "--json")
	d.run("orders", "drop", id(dropped))
	d.typing("n\n", true, "orders", "drop", id(dropped))
	d.typing("", true, "orders", "drop", id(dropped))
	d.typing("yes\n", true, "orders", "drop", id(dropped))
	d.run("orders", "drop", id(dropped), "--yes")
	d.run("orders", "show", id(dropped), "--json")
	d.run("orders", "drop", "unreadable.00ff", "--yes", "--json")
	d.run("orders", "dead")
	d.run("orders", "dead", "--json")
	d.golden("orders")

	for r, want := range map[flashgate.Reservation]flashgate.Status{early: flashgate.StatusPending, dropped: flashgate.StatusRejected} {
		if o, err := s.Order(ctx, r.Order); err != nil || o.Status != want {
			t.Errorf("order of %s: %+v, %v; want %s", r.User, o, err, want)
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := &desk{t: t, dir: dir, env: map[string]string{"FLASHGATE_DATA": filepath.Join(dir, "env")}, names: strings.NewReplacer(dir, "<data>")}
	d.run("version")
	d.run("nonsense")
	d.run("--nonsense")
	d.run("sale", "list")
	d.run("sale", "list", "--data", filepath.Join(dir, "flag"))
	for _, name := range []string{"REDIS_URL", "AMQP_URL", "MYSQL_DSN"} {
		d.env[name] = "x://y"
		d.run("sale", "list")
		d.run("run")
		delete(d.env, name)
	}
	d.env["ORDER_TTL"] = "15"
	d.run("run")
	d.run()
	d.env["ORDER_TTL"] = "10ms"
	d.run("run", "--json")
	d.golden("settings")
	if _, err := os.Stat(filepath.Join(dir, "env")); !os.IsNotExist(err) {
		t.Errorf("a command that failed made the data folder: %v", err)
	}
}
