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

// verdict is what the journal and the rows say together.
type verdict struct {
	requests, accepted, unclear, paid, cancelled, rejected int
	broken                                                 []string
}

func (v verdict) String() string {
	return fmt.Sprintf("%d requests, %d ids with a 202, %d unclear answers, %d paid, %d cancelled by their buyer, %d rejected after a 202",
		v.requests, v.accepted, v.unclear, v.paid, v.cancelled, v.rejected)
}

// judge holds every answer against what is in the database now.
func (a *audit) judge(t *testing.T, lines []line, sales []flashgate.SaleID) (v verdict) {
	t.Helper()
	asked := map[flashgate.OrderID]line{}
	told := map[string]map[flashgate.OrderID]bool{"buy": {}, "pay": {}, "cancel": {}}
	for _, l := range lines {
		v.requests++
		asked[l.Order] = l
		switch {
		case l.Status == http.StatusAccepted, l.Status == http.StatusOK:
			told[l.Do][l.Order] = true
		case l.Status == 0, l.Status == http.StatusGatewayTimeout:
			v.unclear++
		}
	}
	v.accepted, v.paid, v.cancelled = len(told["buy"]), len(told["pay"]), len(told["cancel"])
	wrong := func(format string, args ...any) { v.broken = append(v.broken, fmt.Sprintf(format, args...)) }
	for _, sale := range sales {
		rows := a.allRows(t, sale)
		live := map[string]int{}
		for id, r := range rows {
			l, known := asked[id]
			switch {
			case !known:
				wrong("an order that nobody asked for: %s", id)
			case string(l.User) != r.user:
				wrong("P3: order %s of user %s was asked for by %s", id, r.user, l.User)
			}
			if r.status == "pending" || r.status == "paid" {
				if live[r.user]++; live[r.user] > 1 {
					wrong("P3: user %s has %d live orders of sale %s", r.user, live[r.user], sale)
				}
			}
			if r.status == "rejected" && told["buy"][id] {
				v.rejected++
				if a.lossless(t, sale) {
					wrong("P2: order %s was answered 202 and is %s(%s), though Redis has lost nothing", id, r.status, r.reason)
				}
			}
		}
		for id := range told["buy"] {
			if _, ok := rows[id]; !ok && id.Sale() == sale {
				wrong("P2: order %s was answered 202 and has no row", id)
			}
		}
		for id := range told["pay"] {
			if r := rows[id]; id.Sale() == sale && r.status != "paid" {
				wrong("order %s was answered paid and is %s(%s)", id, r.status, r.reason)
			}
		}
		for id := range told["cancel"] {
			if r := rows[id]; id.Sale() == sale && r.status != "cancelled" {
				wrong("order %s was answered cancelled and is %s(%s)", id, r.status, r.reason)
			}
		}
	}
	return v
}

// lossless reports whether Redis has kept a sale since it was first opened: only a
// reconciliation raises the epoch again.
func (a *audit) lossless(t *testing.T, sale flashgate.SaleID) bool {
	t.Helper()
	var epoch int
	must(t, a.db.QueryRowContext(t.Context(), "SELECT epoch FROM sale WHERE id = ?", sale).Scan(&epoch))
	return epoch <= 2
}

type orderRow struct{ user, status, reason string }

func (a *audit) allRows(t *testing.T, sale flashgate.SaleID) map[flashgate.OrderID]orderRow {
	t.Helper()
	rows, err := a.db.QueryContext(t.Context(), "SELECT id, user, status, reason FROM orders WHERE sale = ?", sale)
	must(t, err)
	defer func(r *sql.Rows) { must(t, r.Close()) }(rows)
	out := map[flashgate.OrderID]orderRow{}
	for rows.Next() {
		var id flashgate.OrderID
		var r orderRow
		must(t, rows.Scan(&id, &r.user, &r.status, &r.reason))
		out[id] = r
	}
	must(t, rows.Err())
	return out
}
