package main_test

import (
	"database/sql"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/deploy/chaos"
	"flashgate/internal/sqlite"
)

// A sale of two units and one more. Ann has bought and paid, Bob has bought and
// cancelled, Eve was refused.
const rightBooks = `
INSERT INTO sale (id, goods, flash_price, starts, ends, per_user, seeded, stock_left, seq, epoch) VALUES ('s', '1', 1, 0, 1, 1, 3, 2, 4, 1);
INSERT INTO gate (sale, epoch, free, held, starts, ends, per_user, bound) VALUES ('s', 1, 2, 0, 0, 1, 1, 9);
INSERT INTO orders (id, sale, user, units, price, status, reason, seq, created, expires, updated) VALUES
  ('s.ann', 's', 'ann', 1, 1, 'paid', '', 1, 0, 1, 0), ('s.bob', 's', 'bob', 1, 1, 'cancelled', 'cancelled_by_user', 2, 0, 1, 0);
INSERT INTO buyer (sale, user, taken) VALUES ('s', 'ann', 1), ('s', 'bob', 0);
INSERT INTO gate_buyer (sale, user, units, prior) VALUES ('s', 'ann', 1, 's.ann'), ('s', 'bob', 0, 's.bob');
INSERT INTO gate_order (id, user, units, at, held) VALUES ('s.ann', 'ann', 1, 0, 0), ('s.bob', 'bob', 1, 0, 0);`

// rightJournal is what they were answered.
func rightJournal() (lines []chaos.Line) {
	at := time.Now()
	add := func(do, who string, status int, code flashgate.Code, state flashgate.Status) {
		l := chaos.Line{Asks: true, Do: do, Sale: "s", At: at}
		if who != "" {
			l.User, l.Order = flashgate.UserID(who), flashgate.OrderID("s."+who)
		}
		lines = append(lines, l)
		l.Asks, l.Status, l.Code, l.State = false, status, code, state
		lines = append(lines, l)
	}
	add(chaos.Restock, "", 200, "", "")
	add(chaos.Buy, "ann", 202, "", "")
	add(chaos.See, "ann", 200, "", flashgate.StatusPending)
	add(chaos.Pay, "ann", 200, "", "")
	add(chaos.Buy, "bob", 0, "", "")
	add(chaos.Buy, "bob", 202, "", "")
	add(chaos.Cancel, "bob", 200, "", "")
	add(chaos.Buy, "eve", 409, flashgate.CodeSoldOut, "")
	return lines
}

const newOrder = "INSERT INTO orders (id, sale, user, units, price, status, reason, seq, created, expires, updated) VALUES "

// The auditor of TestChaosEmbedded finds nothing in books that are right, and names the
// promise in books that are wrong in one place.
func TestTheChaosAuditorCanFail(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		books   string       // what is changed
		journal []chaos.Line // what was asked and answered besides
		want    string       // how a finding begins; empty: nothing is found
	}{
		"right":                      {},
		"sold what there is not":     {books: "UPDATE sale SET seeded = 0", want: "P1: sale s has 0 units and has sold 1"},
		"free below zero":            {books: "UPDATE gate SET free = -1", want: "P1: sale s has 2 units left and -1 free"},
		"a 202 without a row":        {books: "DELETE FROM orders WHERE id = 's.bob'; DELETE FROM gate_order WHERE id = 's.bob'", want: "P2: order s.bob was answered 202"},
		"forgotten after the gate":   {books: "DELETE FROM orders WHERE id = 's.bob'", want: "P2: 1 orders are neither held nor decided"},
		"rejected after a 202":       {books: "UPDATE orders SET status = 'rejected', reason = 'sold_out' WHERE id = 's.bob'", want: "P2: order s.bob was answered 202"},
		"a dead letter":              {books: "INSERT INTO dead_letter (id, sale, record, reason, detail, created) VALUES ('s.eve', 's', x'00', 'failed', '', 0)", want: "P2: 1 dead letters"},
		"held and in no message":     {books: "INSERT INTO gate_order (id, user, units, at, held) VALUES ('s.eve', 'eve', 1, 0, 1)", want: "P2: 1 held orders are in no message"},
		"nobody asked":               {books: newOrder + "('s.eva', 's', 'eva', 1, 1, 'cancelled', 'expired', 3, 0, 1, 0)", want: "P2: nobody asked for order s.eva"},
		"another's order":            {books: "UPDATE orders SET user = 'bob' WHERE id = 's.ann'", want: "P2: order s.ann of sale s and user bob was asked for in sale s by ann"},
		"paid and not paid":          {books: "UPDATE orders SET status = 'cancelled' WHERE id = 's.ann'", want: "P2: order s.ann was answered paid"},
		"seen, and then not":         {journal: seen("ann", ""), want: "P2: order s.ann was known to be further on"},
		"two orders of one user":     {books: newOrder + "('s.eve', 's', 'ann', 1, 1, 'paid', '', 3, 0, 1, 0)", want: "P3: 2 live orders of sale s by 1 users"},
		"a share not given back":     {books: "UPDATE buyer SET taken = 1 WHERE user = 'bob'", want: "P3: the database counts 1 units for sale and user s bob"},
		"a share at the gate":        {books: "DELETE FROM gate_buyer WHERE user = 'ann'", want: "P3: the gate counts nothing for sale and user s ann"},
		"a unit lost":                {books: "UPDATE sale SET stock_left = 1", want: "P4: the database's side of sale s"},
		"a unit lost at the gate":    {books: "UPDATE gate SET free = 1", want: "P4: the gate's side of sale s"},
		"held by nobody":             {books: "UPDATE gate SET free = 1, held = 1", want: "P4, P5: the gate counts 1 held units"},
		"held and not counted":       {books: "INSERT INTO gate_order (id, user, units, at, held) VALUES ('s.eve', 'eve', 1, 0, 1)", want: "P4: the gate counts 0 held units"},
		"cancelled and not":          {books: "UPDATE orders SET status = 'paid' WHERE id = 's.bob'", want: "P4: order s.bob was answered cancelled"},
		"a restock lost":             {books: "UPDATE sale SET seeded = 2", want: "P4: sale s began with 2 units"},
		"too late and paid":          {journal: refused(chaos.Pay, "ann"), want: "P4: order s.ann was answered that it cannot be paid"},
		"not cancelled and not paid": {journal: refused(chaos.Cancel, "bob"), want: "P4: order s.bob was answered that it cannot be cancelled"},
		"two units":                  {books: "UPDATE orders SET units = 2 WHERE id = 's.ann'", want: "P5: order s.ann was asked for with one unit"},
		"refused and sold":           {books: newOrder + "('s.eve', 's', 'eve', 1, 1, 'paid', '', 3, 0, 1, 0)", want: "P5: order s.eve was refused clearly each time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := audited(t, c.books, append(rightJournal(), c.journal...))
			switch {
			case c.want == "" && len(found) > 0:
				t.Errorf("found in books that are right: %q", found)
			case c.want != "" && !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, c.want) }):
				t.Errorf("it does not say %q but %q", c.want, found)
			}
		})
	}
}

func seen(who string, state flashgate.Status) []chaos.Line {
	l := chaos.Line{Asks: true, Do: chaos.See, Sale: "s", User: flashgate.UserID(who), Order: flashgate.OrderID("s." + who)}
	answer := l
	answer.Asks, answer.Status, answer.Code, answer.State = false, 404, flashgate.CodeNotFound, state
	return []chaos.Line{l, answer}
}

func refused(do, who string) []chaos.Line {
	l := chaos.Line{Asks: true, Do: do, Sale: "s", User: flashgate.UserID(who), Order: flashgate.OrderID("s." + who)}
	answer := l
	answer.Asks, answer.Status, answer.Code = false, 409, flashgate.CodeWrongState
	return []chaos.Line{l, answer}
}

// audited are the findings in the right books with a change.
func audited(t *testing.T, change string, lines []chaos.Line) []string {
	t.Helper()
	data := t.TempDir()
	path := filepath.Join(data, "flashgate.db")
	schema, err := sqlite.Open(path)
	must(t, err)
	must(t, schema.Close())
	db, err := openFile(path, "mode=rw")
	must(t, err)
	_, err = db.ExecContext(t.Context(), rightBooks+change)
	must(t, err)
	must(t, db.Close())

	a := &auditor{data: data, scratch: t.TempDir()}
	must(t, a.autopsy(t.Context(), []flashgate.OrderID{"s.ann", "s.bob"}))
	var v *verdict
	must(t, a.onCopy(func(db *sql.DB) (err error) {
		v, err = judge(t.Context(), lines, db, map[flashgate.SaleID]int64{"s": 2})
		return err
	}))
	return append(a.broken, v.broken...)
}
