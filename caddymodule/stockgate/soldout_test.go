package stockgate_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/caddymodule/gatewaytest"
)

// twoGates are two gates of one process, with a probe so seldom that no test sees one.
const twoGates = `
SITE {
	session_auth optional
	stock_gate POST /buy/{sale} {
		sold_out_probe 1m
	}
	stock_gate POST /also/{sale} {
		sold_out_probe 1m
	}
}
`

// embedded is what the SQLite backend fills beside the gate.
type embedded interface {
	flashgate.Stock
	flashgate.Ledger
	flashgate.OrderStore
	flashgate.SaleStore
	flashgate.DeadLetterStore
}

func flagged() (asked, fromFlag uint64) {
	d := app.Decisions()["stock_gate"]
	return d["sold_out"], d["sold_out_flag"]
}

// Sold out is asked once by each gate and answered by its flag from then on, until
// units come free: then both sell at once.
func TestSoldOutFlag(t *testing.T) {
	g := gatewaytest.Run(t, twoGates)
	store := g.Store(t).(embedded)
	users := 0
	buy := func(path string) (a gatewaytest.Answer, r flashgate.Reservation) {
		t.Helper()
		users++
		user := flashgate.UserID(fmt.Sprint("u", users))
		a = g.Login(t, user).Do("POST", path)
		return a, flashgate.Reservation{Order: flashgate.OrderID(a.Member("order")), User: user, Units: 1}
	}
	bought := func(path, when string) flashgate.Reservation {
		t.Helper()
		a, r := buy(path)
		if a.Status != 202 {
			t.Fatalf("%s, %s: %+v", path, when, a)
		}
		return r
	}
	refused := func(path string, code flashgate.Code) {
		t.Helper()
		if a, _ := buy(path); a.Code() != code {
			t.Fatalf("%s: %+v, want %s", path, a, code)
		}
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	decided := func(sale flashgate.SaleID, ttl time.Duration, r flashgate.Reservation) {
		t.Helper()
		_, err := store.Decide(t.Context(), sale, []flashgate.Reservation{r}, ttl)
		ok(err)
	}
	for i, c := range []struct {
		name string
		free func(sale flashgate.SaleID, r flashgate.Reservation)
	}{
		{"a restock", func(sale flashgate.SaleID, _ flashgate.Reservation) {
			_, err := store.ChangeSale(t.Context(), sale, flashgate.SaleChange{Restock: 1})
			ok(err)
		}},
		{"a cancel", func(sale flashgate.SaleID, r flashgate.Reservation) {
			decided(sale, time.Hour, r)
			refused("/buy/"+string(sale), flashgate.CodeSoldOut)
			_, err := store.Cancel(t.Context(), r.Order, r.User)
			ok(err)
		}},
		{"an expiry", func(sale flashgate.SaleID, r flashgate.Reservation) {
			decided(sale, time.Millisecond, r)
			for n := 0; n == 0; {
				var err error
				n, _, err = store.Expire(t.Context(), 10)
				ok(err)
			}
		}},
		{"a rejection", func(_ flashgate.SaleID, r flashgate.Reservation) {
			record, err := json.Marshal(r)
			ok(err)
			ok(store.DeadLetter(t.Context(), flashgate.DeadLetter{Order: r.Order, Sale: r.Order.Sale(), Record: record, Reason: flashgate.ReasonFailed}))
			refused("/buy/"+string(r.Order.Sale()), flashgate.CodeSoldOut)
			ok(store.Drop(t.Context(), r.Order))
		}},
	} {
		sale := flashgate.SaleID(fmt.Sprint("s", i))
		buyAt, alsoAt := "/buy/"+string(sale), "/also/"+string(sale)
		g.Sale(t, sale, 1, 0)
		r := bought(buyAt, "the only unit")
		asked, fromFlag := flagged()
		for range 5 {
			refused(buyAt, flashgate.CodeSoldOut)
			refused(alsoAt, flashgate.CodeSoldOut)
		}
		if a, f := flagged(); a-asked != 2 || f-fromFlag != 8 {
			t.Errorf("before %s: the stock was asked %d times, the flags %d times; want 2 and 8", c.name, a-asked, f-fromFlag)
		}
		c.free(sale, r)
		bought([]string{buyAt, alsoAt}[i%2], "after "+c.name)
		refused(buyAt, flashgate.CodeSoldOut)
		refused(alsoAt, flashgate.CodeSoldOut)
		_, err := store.ChangeSale(t.Context(), sale, flashgate.SaleChange{Restock: 2})
		ok(err)
		bought(buyAt, "a restock of two")
		bought(alsoAt, "a restock of two")
		refused(alsoAt, flashgate.CodeSoldOut)
		_, err = store.ChangeSale(t.Context(), sale, flashgate.SaleChange{Close: true})
		ok(err)
		refused(buyAt, flashgate.CodeEnded)
		refused(alsoAt, flashgate.CodeEnded)
	}
}

// A repeat of an id is told what everybody is told: the id says what became of it.
func TestSoldOutFlagAndARepeat(t *testing.T) {
	g := gatewaytest.Run(t, strings.Replace(alone, "units 1", "sold_out_probe 1m", 1))
	g.Sale(t, "1", 1, 0)
	c := g.Login(t, "u1")
	order := c.Do("POST", "/buy/1").Member("order")
	repeat := func() gatewaytest.Answer { return c.Do("POST", "/buy/1", "Idempotency-Key", order) }
	if a := repeat(); a.Status != 202 || a.Member("order") != order {
		t.Errorf("before it is known to be sold out: %+v", a)
	}
	if a := g.Login(t, "u2").Do("POST", "/buy/1"); a.Code() != flashgate.CodeSoldOut {
		t.Fatalf("%+v", a)
	}
	if a := repeat(); a.Code() != flashgate.CodeSoldOut {
		t.Errorf("after it is known: %+v", a)
	}
	if r, held, err := g.Store(t).Held(t.Context(), flashgate.OrderID(order)); err != nil || !held || r.User != "u1" {
		t.Errorf("the order: %+v, %t, %v", r, held, err)
	}
}
