package main_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"time"

	"flashgate"
	"flashgate/deploy/chaos"
)

// verdict is what the journal and the rows say together.
type verdict struct {
	requests, accepted, unclear, unknown int
	paid, late, cancelled, expired       int
	soldOut, greedy                      int // refusals
	rescued, again, restocked            int
	lost, doubled                        int // violations
	broken                               []string
}

func (v *verdict) String() string {
	return fmt.Sprintf("%d requests, %d ids with a 202, %d unclear answers, %d of them 504, %d ids that a purchase with an unclear answer had taken and its repeat was answered 202, "+
		"%d refusals because it was sold out, %d because they had bought, %d paid, %d payments too late, %d cancelled by their buyer, %d of them bought again, %d expired, %d units restocked",
		v.requests, v.accepted, v.unclear, v.unknown, v.rescued, v.soldOut, v.greedy, v.paid, v.late, v.cancelled, v.again, v.expired, v.restocked)
}

func (v *verdict) wrong(count *int, format string, args ...any) {
	if count != nil {
		*count++
	}
	v.broken = append(v.broken, fmt.Sprintf(format, args...))
}

// told is what the journal says of one order.
type told struct {
	sale     flashgate.SaleID
	user     flashgate.UserID
	bought   bool // asked for
	accepted time.Time
	unclear  time.Time // the last unclear answer to a purchase before that

	paid, late, cancelled, uncancellable bool

	stage, before int // how far the order was known to be; and when the last look was asked for
}

// stages of an order, as it may be seen: never backwards.
var stages = map[flashgate.Status]int{
	"": 0, flashgate.StatusUndecided: 1, flashgate.StatusPending: 2,
	flashgate.StatusPaid: 3, flashgate.StatusCancelled: 3, flashgate.StatusRejected: 3, flashgate.StatusDeadLettered: 2,
}

// restocks are the units of one sale that were added: for certain, and perhaps.
type restocks struct{ certain, perhaps int64 }

// readJournal sorts the answers by order, counts them, and holds them against each
// other. Lines stand in the order in which things happened: an answer before a request
// was had before it.
func readJournal(lines []chaos.Line) (map[flashgate.OrderID]*told, map[flashgate.SaleID]*restocks, *verdict) {
	v := &verdict{}
	orders, stocks := map[flashgate.OrderID]*told{}, map[flashgate.SaleID]*restocks{}
	for _, l := range lines {
		if l.Asks {
			v.requests++
		}
		if l.Unclear() {
			v.unclear++
			if l.Status == http.StatusGatewayTimeout {
				v.unknown++
			}
		}
		if l.Do == chaos.Restock {
			if stocks[l.Sale] == nil {
				stocks[l.Sale] = &restocks{}
			}
			switch {
			case l.Status == http.StatusOK:
				stocks[l.Sale].certain++
				v.restocked++
			case l.Unclear():
				stocks[l.Sale].perhaps++
			}
			continue
		}
		o := orders[l.Order]
		if o == nil {
			o = &told{sale: l.Sale, user: l.User}
			orders[l.Order] = o
		}
		v.note(o, l)
	}
	return orders, stocks, v
}

// note takes one line to an order.
func (v *verdict) note(o *told, l chaos.Line) {
	switch {
	case l.Asks:
		o.bought = o.bought || l.Do == chaos.Buy
		if l.Do == chaos.See {
			o.before = o.stage
		}
	case l.Do == chaos.Buy && l.Unclear():
		if o.accepted.IsZero() {
			o.unclear = l.At
		}
	case l.Do == chaos.Buy && l.Status == http.StatusAccepted:
		if o.accepted.IsZero() {
			o.accepted = l.At
			v.accepted++
		} else if o.cancelled {
			v.again++
		}
		o.stage = max(o.stage, stages[flashgate.StatusUndecided])
	case l.Do == chaos.Buy && l.Code == flashgate.CodeSoldOut:
		v.soldOut++
	case l.Do == chaos.Buy && l.Code == flashgate.CodeAlreadyBought:
		v.greedy++
	case l.Do == chaos.See && (l.Status == http.StatusOK || l.Code == flashgate.CodeNotFound):
		if s := stages[l.State]; s < o.before {
			v.wrong(&v.lost, "P2: order %s was known to be further on and was shown as %q at %v", l.Order, l.State, l.At)
		} else {
			o.stage = max(o.stage, s)
		}
		switch l.State {
		case flashgate.StatusPaid:
			o.paid = true
		case flashgate.StatusCancelled:
			o.cancelled = true
		}
	case l.Do == chaos.Pay && l.Status == http.StatusOK:
		o.paid, o.stage = true, 3
		v.paid++
	case l.Do == chaos.Pay && l.Code == flashgate.CodeWrongState:
		o.late = true
		v.late++
	case l.Do == chaos.Cancel && l.Status == http.StatusOK:
		o.cancelled, o.stage = true, 3
		v.cancelled++
	case l.Do == chaos.Cancel && l.Code == flashgate.CodeWrongState:
		o.uncancellable = true
	}
}

type orderRow struct {
	sale           flashgate.SaleID
	user           flashgate.UserID
	units          int
	status, reason string
}

func ordersIn(ctx context.Context, db *sql.DB) (map[flashgate.OrderID]orderRow, error) {
	rows, err := db.QueryContext(ctx, "SELECT id, sale, user, units, status, reason FROM orders")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[flashgate.OrderID]orderRow{}
	for rows.Next() {
		var id flashgate.OrderID
		var r orderRow
		if err := rows.Scan(&id, &r.sale, &r.user, &r.units, &r.status, &r.reason); err != nil {
			return nil, err
		}
		out[id] = r
	}
	return out, rows.Err()
}

// judge holds every answer against the rows, now that all has come to rest. seeded is
// how many units the sales had at first.
func judge(ctx context.Context, lines []chaos.Line, db *sql.DB, seeded map[flashgate.SaleID]int64) (*verdict, error) {
	orders, stocks, v := readJournal(lines)
	rows, err := ordersIn(ctx, db)
	if err != nil {
		return nil, err
	}
	v.strangers(orders, rows)
	for id, o := range orders {
		r, ok := rows[id]
		v.order(id, o, r, ok)
	}
	if err := v.repeats(ctx, db, orders); err != nil {
		return nil, err
	}
	if err := v.shares(ctx, db, rows); err != nil {
		return nil, err
	}
	if err := v.stock(ctx, db, seeded, stocks); err != nil {
		return nil, err
	}
	return v, nil
}

// stock compares how many units the sales have had with what was answered.
func (v *verdict) stock(ctx context.Context, db *sql.DB, seeded map[flashgate.SaleID]int64, stocks map[flashgate.SaleID]*restocks) error {
	for sale, n := range seeded {
		var now int64
		if err := db.QueryRowContext(ctx, "SELECT seeded FROM sale WHERE id = ?", sale).Scan(&now); err != nil {
			return err
		}
		s := stocks[sale]
		if s == nil {
			s = &restocks{}
		}
		if now < n+s.certain || now > n+s.certain+s.perhaps {
			v.wrong(nil, "P4: sale %s began with %d units, %d were added for certain and %d perhaps, and it has had %d", sale, n, s.certain, s.perhaps, now)
		}
	}
	return nil
}

// repeats counts the purchases that proved that a repeat takes nothing: the gate had
// taken the order before the unclear answer came, and answered the repeat with 202.
func (v *verdict) repeats(ctx context.Context, db *sql.DB, orders map[flashgate.OrderID]*told) error {
	rows, err := db.QueryContext(ctx, "SELECT id, at FROM gate_order")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id flashgate.OrderID
		var at int64
		if err := rows.Scan(&id, &at); err != nil {
			return err
		}
		if o := orders[id]; o != nil && !o.accepted.IsZero() && at < o.unclear.UnixMilli() {
			v.rescued++
		}
	}
	return rows.Err()
}

// strangers looks for rows that nobody asked for, and for too many of one user.
func (v *verdict) strangers(orders map[flashgate.OrderID]*told, rows map[flashgate.OrderID]orderRow) {
	type share struct {
		sale flashgate.SaleID
		user flashgate.UserID
	}
	live := map[share]int{}
	for id, r := range rows {
		o := orders[id]
		switch {
		case o == nil || !o.bought:
			v.wrong(nil, "P2: nobody asked for order %s", id)
		case o.user != r.user || o.sale != r.sale:
			v.wrong(nil, "P2: order %s of sale %s and user %s was asked for in sale %s by %s", id, r.sale, r.user, o.sale, o.user)
		case r.units != 1:
			v.wrong(&v.doubled, "P5: order %s was asked for with one unit and has %d", id, r.units)
		}
		if r.status == "cancelled" && r.reason == flashgate.ReasonExpired {
			v.expired++
		}
		if r.status == "pending" || r.status == "paid" {
			s := share{r.sale, r.user}
			if live[s]++; live[s] > 1 {
				v.wrong(&v.doubled, "P3: user %s has %d live orders of sale %s", r.user, live[s], r.sale)
			}
		}
	}
}

// order holds what was answered about one order against its row. Here a rejection after
// a 202 is never right: the gate cannot have lost anything.
func (v *verdict) order(id flashgate.OrderID, o *told, r orderRow, ok bool) {
	is := fmt.Sprintf("is %s(%s)", r.status, r.reason)
	if !ok {
		is = "has no row"
	}
	if !o.accepted.IsZero() && (!ok || r.status == "rejected") {
		v.wrong(&v.lost, "P2: order %s was answered 202 at %v and %s", id, o.accepted, is)
	}
	if ok && o.accepted.IsZero() && o.unclear.IsZero() {
		v.wrong(&v.doubled, "P5: order %s was refused clearly each time and %s", id, is)
	}
	if o.paid && r.status != "paid" {
		v.wrong(&v.lost, "P2: order %s was answered paid and %s", id, is)
	}
	if o.cancelled && r.status != "cancelled" {
		v.wrong(nil, "P4: order %s was answered cancelled and %s", id, is)
	}
	if o.late && (r.status == "paid" || r.status == "pending") {
		v.wrong(nil, "P4: order %s was answered that it cannot be paid any more and %s", id, is)
	}
	if o.uncancellable && r.status != "paid" {
		v.wrong(nil, "P4: order %s was answered that it cannot be cancelled and %s", id, is)
	}
}

// shares compares what the users have with what database and gate count for them, in
// both directions.
func (v *verdict) shares(ctx context.Context, db *sql.DB, rows map[flashgate.OrderID]orderRow) error {
	has := map[string]int{}
	for _, r := range rows {
		if r.status == "pending" || r.status == "paid" {
			has[fmt.Sprint(r.sale, " ", r.user)] += r.units
		}
	}
	for side, text := range map[string]string{
		"database": "SELECT sale, user, taken FROM buyer",
		"gate":     "SELECT sale, user, units FROM gate_buyer",
	} {
		rows, err := db.QueryContext(ctx, text)
		if err != nil {
			return err
		}
		counted := map[string]int{}
		for rows.Next() {
			var sale, user string
			var n int
			if err := rows.Scan(&sale, &user, &n); err != nil {
				rows.Close()
				return err
			}
			counted[sale+" "+user] = n
		}
		if err := rows.Err(); err != nil {
			return err
		}
		for who, n := range counted {
			if n != has[who] {
				v.wrong(nil, "P3: the %s counts %d units for sale and user %s, who has %d", side, n, who, has[who])
			}
		}
		for who, n := range has {
			if _, ok := counted[who]; !ok {
				v.wrong(nil, "P3: the %s counts nothing for sale and user %s, who has %d", side, who, n)
			}
		}
	}
	return nil
}
