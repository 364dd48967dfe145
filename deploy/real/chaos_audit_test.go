package main_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"flashgate"
	"flashgate/deploy/chaos"
)

// unpaid waits until no order of a sale can expire any more.
func (a *audit) unpaid(t *testing.T, sale flashgate.SaleID) {
	t.Helper()
	eventually(t, "unpaid orders have expired", func() bool {
		var n int
		err := a.db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM orders WHERE sale = ? AND status = 'pending'", sale).Scan(&n)
		return err == nil && n == 0
	})
}

// sampled is what was seen of P4 under load.
type sampled struct {
	database, gate int // how often the two sides were compared
	broken         []string
}

// sample compares the sums again and again: seeded = left + live in one look at the
// database, and free + held at an open gate with what the log says was left after the
// last change that the gate has applied.
func (a *audit) sample(ctx context.Context, sales []flashgate.SaleID) (s sampled) {
	for ctx.Err() == nil {
		for _, sale := range sales {
			var seeded, left, live int64
			err := a.db.QueryRowContext(ctx, `SELECT s.seeded, s.stock_left,
				(SELECT COALESCE(SUM(o.units), 0) FROM orders o WHERE o.sale = s.id AND o.status IN ('pending', 'paid'))
				FROM sale s WHERE s.id = ?`, sale).Scan(&seeded, &left, &live)
			if err == nil {
				s.database++
				if seeded != left+live || left < 0 {
					s.broken = append(s.broken, fmt.Sprintf("P4 in the database of sale %s: seeded %d, left %d, live %d", sale, seeded, left, live))
				}
			}
			a.sampleGate(ctx, sale, &s)
		}
		pause(ctx, 100*time.Millisecond)
	}
	return s
}

func (a *audit) sampleGate(ctx context.Context, sale flashgate.SaleID, s *sampled) {
	head, err := a.redis.HMGet(ctx, "flashgate:{"+string(sale)+"}:head", "free", "held", "applied").Result()
	if err != nil || head[0] == nil || head[1] == nil || head[2] == nil {
		return // away, or lost
	}
	var n [3]int64
	for i := range n {
		if n[i], err = strconv.ParseInt(fmt.Sprint(head[i]), 10, 64); err != nil {
			s.broken = append(s.broken, fmt.Sprintf("the head of sale %s has %v", sale, head))
			return
		}
	}
	var left int64
	err = a.db.QueryRowContext(ctx, "SELECT left_after FROM stock_log WHERE sale = ? AND seq = ?", sale, n[2]).Scan(&left)
	if err != nil {
		return // nothing applied yet, or the database is away
	}
	s.gate++
	if n[0]+n[1] != left {
		s.broken = append(s.broken, fmt.Sprintf("P4 at the gate of sale %s: free %d + held %d after change %d, which left %d", sale, n[0], n[1], n[2], left))
	}
}

// drift is how often the sums differed.
func (s sampled) drift() int { return len(s.broken) }

// verdict is what the journal and the rows say together.
type verdict struct {
	requests, accepted, unclear, unknown, paid, late, cancelled int
	rejected                                                    int // after a 202, with a loss of Redis shortly before
	oversold, lost, doubled                                     int // violations
	broken                                                      []string
}

func (v verdict) String() string {
	return fmt.Sprintf("%d requests, %d ids with a 202, %d unclear answers, %d of them 504, %d paid, %d payments too late, %d cancelled by their buyer, %d rejected after a 202 because Redis had lost it",
		v.requests, v.accepted, v.unclear, v.unknown, v.paid, v.late, v.cancelled, v.rejected)
}

// told is what the journal says of one order.
type told struct {
	user                  flashgate.UserID
	accepted              time.Time // the first 202
	bought, paid, stopped bool
}

// readJournal sorts the answers by order, and counts them.
func readJournal(lines []chaos.Line) (map[flashgate.OrderID]*told, verdict) {
	var v verdict
	orders := map[flashgate.OrderID]*told{}
	for _, l := range lines {
		o := orders[l.Order]
		if o == nil {
			o = &told{user: l.User}
			orders[l.Order] = o
		}
		ok := l.Status == http.StatusAccepted || l.Status == http.StatusOK
		switch {
		case l.Asks:
			v.requests++
		case ok && l.Do == "buy":
			if !o.bought {
				o.bought, o.accepted = true, l.At
				v.accepted++
			}
		case ok && l.Do == "pay":
			o.paid = true
			v.paid++
		case ok && l.Do == "cancel":
			o.stopped = true
			v.cancelled++
		case l.Do == "pay" && l.Code == flashgate.CodeWrongState:
			v.late++
		case l.Status == 0, l.Status == http.StatusGatewayTimeout:
			v.unclear++
			if l.Status != 0 {
				v.unknown++
			}
		}
	}
	return orders, v
}

// lossCounts is for how long after a loss of Redis a rejection may be its work: what it
// had accepted before is decided when its sale is open again.
const lossCounts = time.Minute

// judge holds every answer against what is in the database now. losses are the times at
// which Redis lost writes.
func (a *audit) judge(t *testing.T, lines []chaos.Line, sales []flashgate.SaleID, losses []time.Time) verdict {
	t.Helper()
	orders, v := readJournal(lines)
	wrong := func(count *int, format string, args ...any) {
		*count++
		v.broken = append(v.broken, fmt.Sprintf(format, args...))
	}
	var other int
	for _, sale := range sales {
		rows := a.allRows(t, sale)
		live := map[string]int{}
		for id, r := range rows {
			o := orders[id]
			if o == nil {
				wrong(&other, "P2: an order that nobody asked for: %s", id)
				continue
			}
			if string(o.user) != r.user {
				wrong(&other, "P3: order %s of user %s was asked for by %s", id, r.user, o.user)
			}
			if r.status == "pending" || r.status == "paid" {
				if live[r.user]++; live[r.user] > 1 {
					wrong(&v.doubled, "P3: user %s has %d live orders of sale %s", r.user, live[r.user], sale)
				}
			}
			if r.status == "rejected" && o.bought {
				if lostBefore(losses, o.accepted, r.created) {
					v.rejected++
				} else {
					wrong(&v.lost, "P2: order %s was answered 202 at %v and is %s(%s), though Redis had lost nothing", id, o.accepted, r.status, r.reason)
				}
			}
		}
		var seeded, liveUnits int
		must(t, a.db.QueryRowContext(t.Context(), "SELECT seeded FROM sale WHERE id = ?", sale).Scan(&seeded))
		must(t, a.db.QueryRowContext(t.Context(), "SELECT COALESCE(SUM(units), 0) FROM orders WHERE sale = ? AND status IN ('pending', 'paid')", sale).Scan(&liveUnits))
		if liveUnits > seeded {
			v.oversold += liveUnits - seeded - 1
			wrong(&v.oversold, "P1: sale %s has %d units and has sold %d", sale, seeded, liveUnits)
		}
		for id, o := range orders {
			if id.Sale() != sale {
				continue
			}
			r, ok := rows[id]
			switch {
			case o.bought && !ok:
				wrong(&v.lost, "P2: order %s was answered 202 at %v and has no row", id, o.accepted)
			case o.paid && r.status != "paid":
				wrong(&v.lost, "P2: order %s was answered paid and is %s(%s)", id, r.status, r.reason)
			case o.stopped && r.status != "cancelled":
				wrong(&other, "P4: order %s was answered cancelled and is %s(%s)", id, r.status, r.reason)
			}
		}
	}
	return v
}

// lostBefore reports whether Redis lost writes between an acceptance and its decision,
// or shortly before the acceptance: then others were accepted for the same unit.
func lostBefore(losses []time.Time, accepted, decided time.Time) bool {
	for _, l := range losses {
		if l.After(accepted.Add(-lossCounts)) && l.Before(decided.Add(time.Second)) {
			return true
		}
	}
	return false
}

// epochs is how often the epochs of some sales were raised after their first opening.
func (a *audit) epochs(t *testing.T, sales []flashgate.SaleID) (n int) {
	t.Helper()
	for _, sale := range sales {
		var epoch int
		must(t, a.db.QueryRowContext(t.Context(), "SELECT epoch FROM sale WHERE id = ?", sale).Scan(&epoch))
		n += max(epoch-2, 0)
	}
	return n
}

type orderRow struct {
	user, status, reason string
	created              time.Time
}

func (a *audit) allRows(t *testing.T, sale flashgate.SaleID) map[flashgate.OrderID]orderRow {
	t.Helper()
	rows, err := a.db.QueryContext(t.Context(), "SELECT id, user, status, reason, created FROM orders WHERE sale = ?", sale)
	must(t, err)
	defer func(r *sql.Rows) { must(t, r.Close()) }(rows)
	out := map[flashgate.OrderID]orderRow{}
	for rows.Next() {
		var id flashgate.OrderID
		var r orderRow
		var created int64
		must(t, rows.Scan(&id, &r.user, &r.status, &r.reason, &created))
		r.created = time.UnixMilli(created)
		out[id] = r
	}
	must(t, rows.Err())
	return out
}
