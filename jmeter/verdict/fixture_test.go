package main_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/sqlite"

	_ "modernc.org/sqlite"
)

const saleID = "run"

// backend is a database that the shop's own code writes and the verdict reads.
type backend struct {
	*sqlite.Store
	db   *sql.DB  // behind the store's back
	args []string // how the verdict finds it
}

// embedded is a new SQLite file.
func embedded(t *testing.T) backend {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "flashgate.db")
	store, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return backend{Store: store, db: db, args: []string{"--data", dir}}
}

// line is one line of the results file.
type line struct {
	label, code         string
	order, user, status string
	sale                string // empty: saleID
	elapsed             int
	outcome, who        string
	failed              bool // JMeter counts it as a failure
}

// scene is a run that is over, and the results file that JMeter has written.
type scene struct {
	backend
	keys   *flashgate.Keyring
	users  []flashgate.UserID
	orders []flashgate.OrderID // of the buyer with the same number
	lines  []line
}

const (
	buyers = 8
	units  = 5
)

// goodRun is a run without a fault: 8 buyers for 5 units. Buyers 0 to 2 were told
// 202, 3 first 504 and then 202, 4 only 504; the last three came too late.
func goodRun(t *testing.T, b backend) *scene {
	t.Helper()
	s := &scene{backend: b}
	var err error
	if s.keys, err = flashgate.ParseKeyring(flashgate.NewKey()); err != nil {
		t.Fatal(err)
	}
	ctx, now := t.Context(), time.Now()
	must(t, b.PutGoods(ctx, flashgate.Goods{ID: "1", Title: "Kettle", Price: 1000}))
	must(t, b.CreateSale(ctx, flashgate.Sale{ID: saleID, Goods: "1", FlashPrice: 900, Starts: now.Add(-time.Hour), Ends: now.Add(time.Hour), PerUser: 1, Seeded: units}))
	var users []flashgate.User
	for i := range buyers {
		id := flashgate.UserID(fmt.Sprint("buyer-", i))
		users = append(users, flashgate.User{ID: id, Mobile: fmt.Sprintf("9000000000%02d", i), Name: "Buyer", PasswordHash: "x", Role: flashgate.RoleCustomer, Created: now})
		s.users = append(s.users, id)
		s.orders = append(s.orders, s.mint(id))
	}
	must(t, b.CreateUsers(ctx, users))
	for i, order := range s.orders {
		s.note("captcha", "200", i, "")
		s.note("path", "200", i, "")
		switch {
		case i < 3:
			s.note("buy", "202", i, "")
		case i == 3:
			s.note("buy", "504", i, "")
			s.note("buy", "202", i, "")
		case i == 4:
			s.note("buy", "504", i, "")
		default:
			s.note("buy", "409", i, "")
			continue
		}
		s.note("poll", "200", i, "pending")
		s.decide(t, order, s.users[i])
	}
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mint is a new order id for a user.
func (s *scene) mint(user flashgate.UserID) flashgate.OrderID {
	_, order := s.keys.Mint(flashgate.Claim{Sale: saleID, User: string(user)}, time.Now())
	return order
}

func (s *scene) note(label, code string, buyer int, status string) {
	s.lines = append(s.lines, line{label: label, code: code, order: string(s.orders[buyer]), user: string(s.users[buyer]), status: status, elapsed: 10 * (buyer + 1)})
}

// decide lets the order worker's code decide one reservation of a unit.
func (s *scene) decide(t *testing.T, order flashgate.OrderID, user flashgate.UserID) flashgate.Decision {
	t.Helper()
	ds, err := s.Decide(t.Context(), saleID, []flashgate.Reservation{{Order: order, User: user, Units: 1}}, time.Hour)
	must(t, err)
	return ds[0]
}

// exec changes the database behind everybody's back; it must change something.
func (s *scene) exec(t *testing.T, text string, args ...any) {
	t.Helper()
	res, err := s.db.ExecContext(t.Context(), text, args...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s changed %d rows, %v", text, n, err)
	}
}

// header is what JMeter writes with flashgate.properties.
var header = []string{"timeStamp", "elapsed", "label", "responseCode", "responseMessage", "threadName", "success", "order", "user", "sale", "outcome", "status", "who"}

// results writes the results file without the columns that are left out.
func (s *scene) results(t *testing.T, without ...string) string {
	t.Helper()
	rows := [][]string{header}
	for i, l := range s.lines {
		sale := l.sale
		if sale == "" {
			sale = saleID
		}
		rows = append(rows, []string{strconv.FormatInt(1_700_000_000_000+int64(i), 10), strconv.Itoa(l.elapsed), l.label, l.code, "", "buyers 1-1", strconv.FormatBool(!l.failed), l.order, l.user, sale, l.outcome, l.status, l.who})
	}
	drop := map[int]bool{}
	for i, name := range header {
		for _, w := range without {
			drop[i] = drop[i] || name == w
		}
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	for _, r := range rows {
		var kept []string
		for i, v := range r {
			if !drop[i] {
				kept = append(kept, v)
			}
		}
		must(t, w.Write(kept))
	}
	w.Flush()
	return file(t, b.String())
}

func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "results.jtl")
	must(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

// binary is the command, built once for all tests.
var binary string

func build() (cleanup func(), err error) {
	dir, err := os.MkdirTemp("", "verdict")
	if err != nil {
		return nil, err
	}
	cleanup = func() { os.RemoveAll(dir) }
	binary = filepath.Join(dir, "verdict")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		cleanup()
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	return cleanup, nil
}

// readSources makes the tests' results depend on the command's sources: go test keeps
// a result until a file changes that a test itself has read.
func readSources(t *testing.T) {
	t.Helper()
	names, err := filepath.Glob("*.go")
	must(t, err)
	for _, name := range names {
		_, err := os.ReadFile(name)
		must(t, err)
	}
}

// answer is what the command said.
type answer struct {
	exit        int
	out, errors string
}

// red lists the names of the checks that failed.
func (a answer) red() string {
	var names []string
	for _, l := range strings.Split(a.out, "\n") {
		if rest, ok := strings.CutPrefix(l, "RED "); ok {
			names = append(names, strings.Fields(rest)[0])
		}
	}
	return strings.Join(names, " ")
}

func command(ctx context.Context, t *testing.T, args ...string) answer {
	t.Helper()
	return commandWith(ctx, t, nil, args...)
}

// commandWith runs it with these settings only.
func commandWith(ctx context.Context, t *testing.T, env []string, args ...string) answer {
	t.Helper()
	readSources(t)
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append([]string{}, env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if e, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	} else if ok && e.ExitCode() < 0 {
		t.Fatal(err)
	}
	return answer{exit: cmd.ProcessState.ExitCode(), out: out.String(), errors: errs.String()}
}

// judge runs the command on a results file and the scene's database.
func (s *scene) judge(t *testing.T, results string, flags ...string) answer {
	t.Helper()
	args := append([]string{"--results", results, "--sale", saleID, "--wait", "0"}, s.args...)
	return command(t.Context(), t, append(args, flags...)...)
}
