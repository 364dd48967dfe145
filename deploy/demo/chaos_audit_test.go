package main_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"flashgate"

	_ "modernc.org/sqlite"
)

// auditor reads the data file with plain SQL and none of our adapters. While the demo
// runs it only reads; of a process that was killed it reads a copy of what was left, so
// that the next process finds everything as it was and does the recovery itself.
type auditor struct {
	data, scratch string // folders

	// file is held while the test itself has the file open, and as long as the demo is
	// down.
	file sync.Mutex

	live, dead int // looks
	failed     int // looks at the running demo that came to nothing
	drift      int // looks that found the sums wrong
	oversold   int64
	broken     []string
}

// sums are one sale in one look.
type sums struct {
	sale                     flashgate.SaleID
	seeded, left             int64 // the database's side of P4
	live, orders, users      int64 // pending and paid orders: units, rows, users
	pending, rejected        int64 // rows
	free, held               int64 // the gate's side
	heldOrders               int64 // units of the reservations that are held
	taken, shares            int64 // the users' units, in the database and at the gate
	queued, dead, astray     int64 // of all sales: messages; dead letters; held orders in no message
	undecided, multipleUnits int64 // of all sales: forgotten by gate and database; rows of more than one unit
}

// One statement sees one state. Live orders are those that occupy stock; every order of
// the campaign is for one unit, and every sale allows one a user.
const sumsOfSales = `
WITH live AS (SELECT sale, sum(units) units, count(*) n, count(DISTINCT user) users, sum(status = 'pending') pending
              FROM orders WHERE status IN ('pending', 'paid') GROUP BY sale),
     rejected AS (SELECT sale, count(*) n FROM orders WHERE status = 'rejected' GROUP BY sale),
     held AS (SELECT substr(id, 1, instr(id, '.') - 1) sale, sum(units) units FROM gate_order WHERE held = 1 GROUP BY 1),
     taken AS (SELECT sale, sum(taken) units FROM buyer GROUP BY sale),
     shares AS (SELECT sale, sum(units) units FROM gate_buyer GROUP BY sale)
SELECT s.id, s.seeded, s.stock_left, coalesce(l.units, 0), coalesce(l.n, 0), coalesce(l.users, 0), coalesce(l.pending, 0), coalesce(r.n, 0),
       coalesce(g.free, -1), coalesce(g.held, -1), coalesce(h.units, 0), coalesce(t.units, 0), coalesce(b.units, 0),
       (SELECT count(*) FROM queue), (SELECT count(*) FROM dead_letter),
       (SELECT count(*) FROM gate_order x WHERE x.held = 1 AND NOT EXISTS (SELECT 1 FROM queue q WHERE instr(CAST(q.body AS TEXT), x.id) > 0)),
       (SELECT count(*) FROM gate_order x LEFT JOIN orders o ON o.id = x.id WHERE x.held = 0 AND o.id IS NULL),
       (SELECT count(*) FROM orders WHERE units <> 1)
FROM sale s LEFT JOIN gate g ON g.sale = s.id LEFT JOIN live l ON l.sale = s.id LEFT JOIN rejected r ON r.sale = s.id
     LEFT JOIN held h ON h.sale = s.id LEFT JOIN taken t ON t.sale = s.id LEFT JOIN shares b ON b.sale = s.id
ORDER BY s.id`

// sumsOf reads all sales.
func sumsOf(ctx context.Context, db *sql.DB) (out []sums, err error) {
	rows, err := db.QueryContext(ctx, sumsOfSales)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s sums
		err := rows.Scan(&s.sale, &s.seeded, &s.left, &s.live, &s.orders, &s.users, &s.pending, &s.rejected,
			&s.free, &s.held, &s.heldOrders, &s.taken, &s.shares, &s.queued, &s.dead, &s.astray, &s.undecided, &s.multipleUnits)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// broken names the promises that do not hold; all of these hold at every moment,
// because each change is one transaction.
func (s sums) broken() (out []string) {
	check := func(ok bool, format string, args ...any) {
		if !ok {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	check(s.live <= s.seeded, "P1: sale %s has %d units and has sold %d", s.sale, s.seeded, s.live)
	check(s.left >= 0 && s.free >= 0, "P1: sale %s has %d units left and %d free at the gate", s.sale, s.left, s.free)
	check(s.rejected == 0, "P2: %d orders of sale %s are rejected; the gate and the database never differ, so none may be", s.rejected, s.sale)
	check(s.dead == 0, "P2: %d dead letters", s.dead)
	check(s.astray == 0, "P2: %d held orders are in no message", s.astray)
	check(s.undecided == 0, "P2: %d orders are neither held nor decided", s.undecided)
	check(s.orders == s.users, "P3: %d live orders of sale %s by %d users", s.orders, s.sale, s.users)
	check(s.taken == s.live && s.shares == s.live+s.held, "P3: the users' shares of sale %s: %d in the database, where %d are live; %d at the gate, which holds %d besides",
		s.sale, s.taken, s.live, s.shares, s.held)
	check(s.seeded == s.left+s.live, "P4: the database's side of sale %s: seeded %d ≠ left %d + live %d", s.sale, s.seeded, s.left, s.live)
	check(s.free+s.held == s.left, "P4: the gate's side of sale %s: free %d + held %d ≠ left %d", s.sale, s.free, s.held, s.left)
	check(s.held >= s.heldOrders, "P4: the gate counts %d held units of sale %s, its reservations are %d", s.held, s.sale, s.heldOrders)
	check(s.held <= s.heldOrders, "P4, P5: the gate counts %d held units of sale %s, its reservations are %d: a repeat has taken again, or a unit is lost", s.held, s.sale, s.heldOrders)
	check(s.multipleUnits == 0, "P5: %d orders are for more than the one unit that was asked for", s.multipleUnits)
	return out
}

// atRest reports whether nothing is on its way.
func (s sums) atRest() bool { return s.held == 0 && s.queued == 0 && s.pending == 0 }

// judge counts one look.
func (a *auditor) judge(when string, all []sums) {
	wrong := false
	for _, s := range all {
		a.oversold = max(a.oversold, s.live-s.seeded)
		for _, b := range s.broken() {
			wrong = true
			a.broken = append(a.broken, b+" "+when)
		}
	}
	if wrong {
		a.drift++
	}
}

// look reads the file of the running demo. The connection is read-only and does not
// last: it neither writes the log back into the file nor keeps the next process from
// recovering it.
func (a *auditor) look(ctx context.Context) ([]sums, error) {
	a.file.Lock()
	defer a.file.Unlock()
	db, err := openFile(filepath.Join(a.data, "flashgate.db"), "mode=ro")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	all, err := sumsOf(ctx, db)
	if err != nil {
		return nil, err
	}
	a.live++
	a.judge("under load at "+time.Now().Format(time.StampMilli), all)
	return all, nil
}

// watch looks again and again.
func (a *auditor) watch(ctx context.Context) {
	for ctx.Err() == nil {
		if _, err := a.look(ctx); err != nil && ctx.Err() == nil {
			a.failed++
		}
		pause(ctx, 200*time.Millisecond)
	}
}

func openFile(path, query string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: path, RawQuery: query + "&_pragma=busy_timeout(5000)"}).String())
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

// autopsy reads what a dead process has left. Every order that was answered 202 before
// must be in it. The caller holds a.file.
func (a *auditor) autopsy(ctx context.Context, accepted []flashgate.OrderID) error {
	return a.onCopy(func(db *sql.DB) error {
		var damage string
		if err := db.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&damage); err != nil {
			return err
		}
		if damage != "ok" {
			a.broken = append(a.broken, "P4: the file that a dead process has left is damaged: "+damage)
		}
		all, err := sumsOf(ctx, db)
		if err != nil {
			return err
		}
		a.dead++
		a.judge("in what a dead process has left", all)
		for _, id := range accepted {
			var n int
			if err := db.QueryRowContext(ctx, "SELECT count(*) FROM gate_order WHERE id = ?", id).Scan(&n); err != nil {
				return err
			}
			if n == 0 {
				a.broken = append(a.broken, fmt.Sprintf("P2: order %s was answered 202 and is not in what the process has left", id))
			}
		}
		return nil
	})
}

// onCopy opens a copy of the file, with its log, while nobody has the file open. The
// index of the log is left out, as after a crash of the machine.
func (a *auditor) onCopy(read func(*sql.DB) error) error {
	dir, err := os.MkdirTemp(a.scratch, "copy")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"flashgate.db", "flashgate.db-wal"} {
		err := copyFile(filepath.Join(dir, name), filepath.Join(a.data, name))
		if err != nil && !(errors.Is(err, fs.ErrNotExist) && name != "flashgate.db") { // stopped in good order, it has no log
			return err
		}
	}
	db, err := openFile(filepath.Join(dir, "flashgate.db"), "mode=rw")
	if err != nil {
		return err
	}
	return errors.Join(read(db), db.Close())
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
