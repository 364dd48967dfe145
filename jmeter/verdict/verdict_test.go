package main_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/servers/serverstest"
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		cleanup, err := build()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer cleanup()
		return serverstest.Closing(m).Run()
	}())
}

// cases are what a database may look like after a run, with the checks that must be
// red then.
var cases = []struct {
	name  string
	spoil func(t *testing.T, s *scene)
	flags []string
	red   string // names of the checks; empty: green
	says  string // a part of the output
}{
	{name: "a good run", says: "verdict: green", spoil: func(*testing.T, *scene) {}},
	{name: "an order was deleted", red: "P2 P4", says: "answered 202 and is not in the database", spoil: func(t *testing.T, s *scene) {
		s.exec(t, "DELETE FROM orders WHERE id = ?", s.orders[1])
	}},
	{name: "an order was deleted and the sums were put right", red: "P2 P4", says: "answered 202 and is not in the database", spoil: func(t *testing.T, s *scene) {
		s.exec(t, "DELETE FROM orders WHERE id = ?", s.orders[1])
		s.exec(t, "UPDATE sale SET stock_left = stock_left + 1 WHERE id = ?", saleID)
		s.exec(t, "UPDATE buyer SET taken = 0 WHERE sale = ? AND user = ?", saleID, s.users[1])
	}},
	{name: "an order with an unknown outcome was seen and is deleted", red: "P2 P4", says: "was pending when last seen, and is gone", spoil: func(t *testing.T, s *scene) {
		s.exec(t, "DELETE FROM orders WHERE id = ?", s.orders[4])
	}},
	{name: "an order was seen paid and is not", red: "P2", says: "was paid when last seen, and is pending", spoil: func(t *testing.T, s *scene) {
		s.note("pay", "200", 1, "paid")
	}},
	{name: "an order with an unknown outcome was seen cancelled and is not", red: "P2", says: "was cancelled when last seen, and is pending", spoil: func(t *testing.T, s *scene) {
		s.note("events", "200", 4, "cancelled")
	}},
	{name: "an order was paid", spoil: func(t *testing.T, s *scene) {
		s.exec(t, "UPDATE orders SET status = 'paid' WHERE id = ?", s.orders[1])
		s.note("pay", "200", 1, "paid")
		s.note("events", "200", 1, "paid")
	}},
	{name: "an order was doubled", red: "P1 P3 rows P4", says: "has 2 units", spoil: func(t *testing.T, s *scene) {
		s.double(t, s.orders[1], s.mint(s.users[1]))
	}},
	{name: "an order was doubled and the sums were put right", red: "P3 rows", says: "nobody in this run asked for it", spoil: func(t *testing.T, s *scene) {
		s.restock(t, 1)
		s.double(t, s.orders[1], s.mint(s.users[1]))
		s.exec(t, "UPDATE sale SET stock_left = stock_left - 1 WHERE id = ?", saleID)
		s.exec(t, "UPDATE buyer SET taken = 2 WHERE sale = ? AND user = ?", saleID, s.users[1])
		s.exec(t, "UPDATE gate SET free = free - 1 WHERE sale = ?", saleID)
	}},
	{name: "an order for a user who does not exist", red: "P1 rows P4", says: "user nobody, who does not exist", spoil: func(t *testing.T, s *scene) {
		id := s.mint("nobody")
		s.double(t, s.orders[1], id)
		s.exec(t, "UPDATE orders SET user = 'nobody' WHERE id = ?", id)
	}},
	{name: "an order for a user who does not exist, the sums put right", red: "rows", says: "user nobody, who does not exist", spoil: func(t *testing.T, s *scene) {
		s.restock(t, 1)
		s.decide(t, s.mint("nobody"), "nobody")
	}},
	{name: "an order went to a user who does not exist", red: "rows P4", says: "user nobody, who does not exist", spoil: func(t *testing.T, s *scene) {
		s.exec(t, "UPDATE orders SET user = 'nobody' WHERE id = ?", s.orders[1])
	}},
	{name: "an order went to another buyer", red: "rows P4", says: "but user buyer-1 asked for it", spoil: func(t *testing.T, s *scene) {
		s.exec(t, "UPDATE orders SET user = ? WHERE id = ?", s.users[7], s.orders[1])
	}},
	{name: "who was refused at the gate was rejected by the database, too", red: "rows", says: "the buyer was only ever refused", spoil: func(t *testing.T, s *scene) {
		s.decide(t, s.orders[5], s.users[5])
	}},
	{name: "who was refused has an order", red: "rows", says: "the buyer was only ever refused", spoil: func(t *testing.T, s *scene) {
		s.restock(t, 1)
		s.decide(t, s.orders[5], s.users[5])
	}},
	{name: "an order of two units", red: "P1 P3 rows P4", says: "has 2 units, asked for was 1", spoil: func(t *testing.T, s *scene) {
		s.exec(t, "UPDATE orders SET units = 2 WHERE id = ?", s.orders[1])
	}},
	{name: "a lost unit", red: "P4", says: "seeded 6 is not stock_left 0 + live 5", spoil: func(t *testing.T, s *scene) {
		s.exec(t, "UPDATE sale SET seeded = 6 WHERE id = ?", saleID)
	}},
	{name: "a buyer's share is lost", red: "P4", says: "has taken 0 units by the table buyer, 1 by the orders", spoil: func(t *testing.T, s *scene) {
		s.exec(t, "UPDATE buyer SET taken = 0 WHERE sale = ? AND user = ?", saleID, s.users[1])
	}},
	{name: "a buyer is lost", red: "P4", says: "has live orders and is not in the table buyer", spoil: func(t *testing.T, s *scene) {
		s.exec(t, "DELETE FROM buyer WHERE sale = ? AND user = ?", saleID, s.users[1])
	}},
	{name: "refused although units are left", red: "P4", says: "3 buyers were refused for good although 1 units are left", spoil: func(t *testing.T, s *scene) {
		s.restock(t, 1)
	}},
	{name: "rejected after a 202", red: "P2", says: "1 orders were rejected after a 202: 1 sold_out", spoil: rejectLate},
	{name: "rejected after a 202, which is allowed", says: "1 rejected afterwards", flags: []string{"--allow-sold-out"}, spoil: rejectLate},
	{name: "a dead letter", says: "1 dead letters", spoil: func(t *testing.T, s *scene) {
		s.note("buy", "202", 5, "")
		must(t, s.DeadLetter(t.Context(), flashgate.DeadLetter{Order: s.orders[5], Sale: saleID, Record: []byte("{}"), Reason: flashgate.ReasonFailed, Created: time.Now()}))
	}},
	{name: "a row and a dead letter", red: "P2", says: "has a row and a dead letter", spoil: func(t *testing.T, s *scene) {
		s.exec(t, `INSERT INTO dead_letter (id, sale, record, reason, detail, created)
			SELECT id, sale, X'7b7d', 'mismatch', '', created FROM orders WHERE id = ?`, s.orders[1])
	}},
	{name: "a repeat was told that it had bought already", red: "P5", says: "was answered 202, and then 409 already_bought", spoil: func(t *testing.T, s *scene) {
		s.lines = append(s.lines, line{label: "buy", code: "409", outcome: "already_bought", order: string(s.orders[0]), user: string(s.users[0])})
	}},
	{name: "a repeat was refused as invalid", red: "P5", says: "was answered 202, and then 400", spoil: func(t *testing.T, s *scene) { s.note("buy", "400", 0, "") }},
	{name: "a repeat after all was sold", says: "2 orders were asked for more than once", spoil: func(t *testing.T, s *scene) {
		s.lines = append(s.lines, line{label: "buy", code: "409", outcome: "sold_out", order: string(s.orders[0]), user: string(s.users[0])})
	}},
	{name: "a repeat made a second order", red: "P3 rows P5", says: "asked for order", spoil: func(t *testing.T, s *scene) {
		s.restock(t, 1)
		s.double(t, s.orders[3], s.mint(s.users[3]))
		s.exec(t, "UPDATE sale SET stock_left = stock_left - 1 WHERE id = ?", saleID)
		s.exec(t, "UPDATE buyer SET taken = 2 WHERE sale = ? AND user = ?", saleID, s.users[3])
		s.exec(t, "UPDATE gate SET free = free - 1 WHERE sale = ?", saleID)
	}},
	{name: "a repeat took a second unit", red: "P1 P3 rows P4 P5", says: "was asked for 2 times and has 2 units", spoil: func(t *testing.T, s *scene) {
		s.exec(t, "UPDATE orders SET units = 2 WHERE id = ?", s.orders[3])
	}},
	{name: "no purchase", red: "run rows", says: "has no purchase", spoil: func(t *testing.T, s *scene) { s.lines = nil }},
	{name: "another sale's purchases", red: "run rows", says: "are of another sale", spoil: func(t *testing.T, s *scene) {
		for i := range s.lines {
			s.lines[i].sale = "other"
		}
	}},
	{name: "buyers are missing", red: "run", says: "of 9 buyers only 8 came", flags: []string{"--users", "9"}, spoil: func(*testing.T, *scene) {}},
	{name: "one order, two buyers", red: "run rows", says: "before it was of", spoil: func(t *testing.T, s *scene) {
		s.lines = append(s.lines, line{label: "buy", code: "202", order: string(s.orders[1]), user: string(s.users[2])})
	}},
}

// rejectLate: buyer 5 was told 202, and then there was nothing left.
func rejectLate(t *testing.T, s *scene) {
	s.note("buy", "202", 5, "")
	if d := s.decide(t, s.orders[5], s.users[5]); d.Reason != flashgate.ReasonSoldOut {
		t.Fatalf("decided: %+v", d)
	}
}

// double copies a row under another id.
func (s *scene) double(t *testing.T, from, to flashgate.OrderID) {
	t.Helper()
	s.exec(t, `INSERT INTO orders (id, sale, user, units, price, status, reason, seq, created, expires, updated)
		SELECT ?, sale, user, units, price, status, reason, seq, created, expires, updated FROM orders WHERE id = ?`, to, from)
}

func (s *scene) restock(t *testing.T, n int64) {
	t.Helper()
	_, err := s.ChangeSale(t.Context(), saleID, flashgate.SaleChange{Restock: n})
	must(t, err)
}

// runCases judges every case after move has brought it to where the verdict looks.
func runCases(t *testing.T, move func(*testing.T, *scene)) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := goodRun(t, embedded(t))
			c.spoil(t, s)
			move(t, s)
			a := s.judge(t, s.results(t), c.flags...)
			want := 0
			if c.red != "" {
				want = 1
			}
			if a.exit != want || a.red() != c.red || !strings.Contains(a.out, c.says) || a.errors != "" {
				t.Errorf("exit %d, red %q; want exit %d, red %q and %q in\n%s%s", a.exit, a.red(), want, c.red, c.says, a.out, a.errors)
			}
		})
	}
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	runCases(t, func(*testing.T, *scene) {})
}

func TestSummary(t *testing.T) {
	t.Parallel()
	s := goodRun(t, embedded(t))
	s.lines = append(s.lines, line{label: "buy", code: "Non HTTP response code: java.net.SocketTimeoutException", order: string(s.orders[6]), user: string(s.users[6]), elapsed: 1000})
	a := s.judge(t, s.results(t))
	for _, want := range []string{
		"they are 4 × pending", "refusals of buy: 3 × 409, 2 × 504",
		"buy      4 × 202, 3 × 409, 2 × 504, 1 × no answer\n",
		"4 accepted (1 asked for more than once)",
		"captcha  8 × 200\n",
		"p50 40ms, p95 1s, p99 1s, max 1s; 10 answers",
	} {
		if !strings.Contains(a.out, want) {
			t.Errorf("%q is not in\n%s", want, a.out)
		}
	}
}

// The embedded gate is in the same file, so its sums are checked, too.
func TestTheGate(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"UPDATE gate SET free = free + 1":                  "the gate has 1 free and 0 held; at rest it must be 0 and 0",
		"UPDATE gate SET free = free - 1, held = held + 1": "the gate has -1 free and 1 held",
	} {
		s := goodRun(t, embedded(t))
		s.exec(t, text)
		if a := s.judge(t, s.results(t)); a.exit != 1 || a.red() != "P4" || !strings.Contains(a.out, says) {
			t.Errorf("%s: exit %d\n%s%s", text, a.exit, a.out, a.errors)
		}
	}
}

// An order whose 202 is a moment old may still be on its way.
func TestWaitsForTheLastOrder(t *testing.T) {
	t.Parallel()
	s := goodRun(t, embedded(t))
	s.restock(t, 1)
	s.note("buy", "202", 5, "")
	s.lines = append(s.lines, line{label: "buy", code: "202", order: string(s.orders[6]), user: string(s.users[6])})
	s.restock(t, 1)
	s.lines = append(s.lines, line{label: "buy", code: "202", order: string(s.orders[7]), user: string(s.users[7])})
	s.restock(t, 1)
	results := s.results(t)
	if a := s.judge(t, results); a.exit != 1 || a.red() != "P2" {
		t.Fatalf("before: exit %d\n%s", a.exit, a.out)
	}
	got := make(chan answer)
	go func() { got <- s.judge(t, results, "--wait", "30s") }()
	for i := 5; i < buyers; i++ {
		s.decide(t, s.orders[i], s.users[i])
	}
	if a := <-got; a.exit != 0 {
		t.Errorf("afterwards: exit %d\n%s%s", a.exit, a.out, a.errors)
	}
}

func TestUnable(t *testing.T) {
	t.Parallel()
	s := goodRun(t, embedded(t))
	good := s.results(t)
	other := append([]string{"--results", good, "--sale", "no-such"}, s.args...)
	broken := goodRun(t, embedded(t))
	broken.exec(t, "UPDATE sale SET flash_price = flash_price WHERE id = ?", saleID)
	if _, err := broken.db.ExecContext(t.Context(), "DROP TABLE buyer"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no flags":            {nil, "--results and --sale are required"},
		"no database":         {[]string{"--results", good, "--sale", saleID}, "one of --data and --mysql"},
		"two databases":       {append([]string{"--results", good, "--sale", saleID, "--mysql", "x"}, s.args...), "one of --data and --mysql"},
		"an argument":         {[]string{"more"}, `unknown argument "more"`},
		"no results file":     {append([]string{"--results", good + "x", "--sale", saleID}, s.args...), "no such file"},
		"no data file":        {[]string{"--results", good, "--sale", saleID, "--data", t.TempDir()}, "flashgate.db: no such file"},
		"not a DSN":           {[]string{"--results", good, "--sale", saleID, "--mysql", "x"}, "--mysql: invalid DSN"},
		"nobody listens":      {[]string{"--results", good, "--sale", saleID, "--mysql", "root@tcp(127.0.0.1:1)/x"}, "the database does not answer"},
		"no such sale":        {other, `no sale "no-such"`},
		"a table is missing":  {append([]string{"--results", good, "--sale", saleID}, broken.args...), "the buyers:"},
		"columns are missing": {append([]string{"--results", s.results(t, "order", "user"), "--sale", saleID}, s.args...), "the columns order, user are missing: run JMeter with -q jmeter/flashgate.properties"},
		"not CSV":             {append([]string{"--results", file(t, "<testResults/>"), "--sale", saleID}, s.args...), "are missing"},
		"a cut line":          {append([]string{"--results", file(t, strings.Join(header, ",")+"\n1,2,buy\n"), "--sale", saleID}, s.args...), "wrong number of fields"},
		"not a time":          {append([]string{"--results", file(t, strings.Join(header, ",")+"\nsoon,2,buy,202,,,,o,u,run,,,\n"), "--sale", saleID}, s.args...), `line 2: timeStamp is "soon"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := command(t.Context(), t, c.args...)
			if a.exit != 2 || !strings.Contains(a.errors, c.says) || strings.Contains(a.out, "green") {
				t.Errorf("exit %d, want 2 and %q in %q\n%s", a.exit, c.says, a.errors, a.out)
			}
		})
	}
}

// A file without a single line comes from a JMeter that died at once.
func TestAnEmptyFileIsRed(t *testing.T) {
	t.Parallel()
	s := goodRun(t, embedded(t))
	if a := s.judge(t, file(t, "")); a.exit != 1 || !strings.Contains(a.out, "has no purchase") {
		t.Errorf("exit %d\n%s%s", a.exit, a.out, a.errors)
	}
}
