package main_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/deploy/contract"
	"flashgate/shopapp/shop"
)

// unknown is a sale that nobody has created yet.
const unknown flashgate.SaleID = "unknown"

// admin is an administrator at the gateway.
type admin struct {
	t *testing.T
	*contract.Client
}

func (b *badInput) admin(t *testing.T) admin {
	t.Helper()
	c := contract.NewClient(b.URLs[0], loadtestKey, nil)
	if a, err := c.Login(t.Context(), shop.DemoAdministrator, b.Password); err != nil || a.Status != http.StatusOK {
		t.Fatalf("login: %s, %v", a, err)
	}
	return admin{t, c}
}

// asks sends a request and expects an answer.
func (a admin) asks(status int, method, path string, body map[string]any) contract.Answer {
	a.t.Helper()
	got, err := a.Do(a.t.Context(), method, path, body)
	if err != nil || got.Status != status {
		a.t.Errorf("%s %s %v: %s, %v; want %d", method, path, body, got, err, status)
	}
	return got
}

// refused asks for what must be refused, with words that say what to do.
func (a admin) refused(code flashgate.Code, field, words, method, path string, body map[string]any) {
	a.t.Helper()
	got := a.asks(flashgate.Info(code).Status, method, path, body)
	var doc struct {
		Detail string `json:"detail"`
	}
	if err := got.Into(&doc); err != nil || got.Code != code || got.Field != field || !strings.Contains(doc.Detail, words) {
		a.t.Errorf("%s %s %v: %s, %v; want %s, field %q, and a detail with %q", method, path, body, got, err, code, field, words)
	}
}

func sale(id flashgate.SaleID, stock int64, starts, ends time.Time) map[string]any {
	return map[string]any{"id": id, "goods": "1", "flash_price": 990, "stock": stock, "per_user": 1, "starts_at": starts.UTC(), "ends_at": ends.UTC()}
}

// unknownSale: orders of a sale that is not in the database wait until it is, or until
// they are dropped.
func (b *badInput) unknownSale(t *testing.T) {
	crowd := b.crowd(t, unknown, 4)
	first, second, third, later := crowd[0], crowd[1], crowd[2], crowd[3]
	m := mould{sale: unknown, epoch: 1}
	b.publish(t, unknown, m.around(recordOf(first), recordOf(second), recordOf(third)))
	for _, o := range []*buyer{first, second, third} {
		d := b.letterOf(t, o.minted.Order)
		if d.Sale != unknown || d.Reason != flashgate.ReasonNoSale || !containsAll(d.Detail, []string{"not in the database", "create it and replay, or drop"}) {
			t.Errorf("the dead letter is %+v", d)
		}
		b.becomes(t, "an order of an unknown sale", o, "dead_lettered unknown_sale")
	}
	b.refused(t, 1, []string{"still cannot be decided (unknown_sale)", "orders show"}, "orders", "replay", string(first.minted.Order))
	b.done(t, "rejected  dropped", "orders", "drop", string(second.minted.Order), "--yes")
	b.becomes(t, "dropped without its sale", second, "rejected dropped")
	b.refused(t, 1, []string{"There is no sale unknown; there are: ", "changed"}, "sale", "restock", string(unknown), "5")
	b.refused(t, 1, []string{"There is no sale unknown; there are: "}, "reconcile", string(unknown))
	b.refused(t, 1, []string{"There is no sale unknown; there are: "}, "reconcile", string(unknown), "--dry-run")

	a := b.admin(t)
	a.refused(flashgate.CodeNotFound, "", "no such sale", "PATCH", "/api/admin/sales/"+string(unknown), map[string]any{"restock": 5})
	a.asks(http.StatusCreated, "POST", "/api/admin/sales", sale(unknown, 3, time.Now().Add(-time.Minute), time.Now().Add(time.Hour)))
	b.done(t, "pending", "orders", "replay", string(first.minted.Order))
	b.done(t, "rejected  dropped", "orders", "drop", string(third.minted.Order), "--yes")
	b.becomes(t, "replayed", first, "pending")
	b.becomes(t, "dropped", third, "rejected dropped")
	b.refused(t, 1, []string{"There is no dead letter", "the order is pending"}, "orders", "replay", string(first.minted.Order))
	eventually(t, "the gate of the new sale opens", func() bool {
		v, err := b.gate.View(t.Context(), unknown)
		return err == nil && v.Open
	})
	b.buys(t, "somebody", later)
	third.mint() // nothing was bought
	b.buys(t, "who was dropped", third)
}

// badChanges: windows that end before they start, and restocks that cannot be.
func (b *badInput) badChanges(t *testing.T) {
	crowd := b.crowd(t, b.changed, 6)
	a := b.admin(t)
	path, now := "/api/admin/sales/"+string(b.changed), time.Now()
	at := func(d time.Duration) time.Time { return now.Add(d).UTC() }
	before, err := b.database.Sale(t.Context(), b.changed)
	must(t, err)

	later := "must be later than starts_at"
	a.refused(flashgate.CodeInvalid, "ends_at", later, "POST", "/api/admin/sales", sale("backwards", 5, at(time.Hour), at(-time.Hour)))
	a.refused(flashgate.CodeInvalid, "ends_at", later, "POST", "/api/admin/sales", sale("backwards", 5, now, now))
	a.refused(flashgate.CodeInvalid, "stock", "must be between 0 and", "POST", "/api/admin/sales", sale("backwards", -5, at(0), at(time.Hour)))
	a.asks(http.StatusNotFound, "GET", "/api/sales/backwards", nil)
	for _, body := range []map[string]any{
		{"ends_at": at(-time.Hour)},                              // before the start that the sale has
		{"starts_at": at(2 * time.Hour)},                         // after the end that the sale has
		{"starts_at": at(time.Hour), "ends_at": at(time.Minute)}, // in itself
		{"open": true, "ends_at": at(-time.Minute)},
		{"ends_at": at(-time.Hour), "restock": 5},
	} {
		a.refused(flashgate.CodeInvalid, "ends_at", later, "PATCH", path, body)
	}
	a.refused(flashgate.CodeInvalid, "restock", "must be between 0 and", "PATCH", path, map[string]any{"restock": -5})
	a.refused(flashgate.CodeInvalid, "restock", "must be a whole number", "PATCH", path, map[string]any{"restock": "five"})
	b.refused(t, 2, []string{"--until is", "which has passed"}, "sale", "open", string(b.changed), "--until", at(-time.Hour).Format(time.RFC3339))
	b.refused(t, 2, []string{"--for is", "at least 1s"}, "sale", "open", string(b.changed), "--for", "-5m")
	b.refused(t, 2, []string{`UNITS is "-5"`, "from 1 to 1000000000"}, "sale", "restock", string(b.changed), "-5")
	if after, err := b.database.Sale(t.Context(), b.changed); err != nil || after != before {
		t.Errorf("what was refused has changed the sale to %+v, %v; it was %+v", after, err, before)
	}
	b.buys(t, "somebody, meanwhile", crowd[0])

	b.restockOfAnEndedSale(t, a, path, crowd[1:])
}

// restockOfAnEndedSale: nobody could buy the units. It is refused until the sale is open
// again, and both may come in one change.
func (b *badInput) restockOfAnEndedSale(t *testing.T, a admin, path string, crowd []*buyer) {
	a.asks(http.StatusOK, "PATCH", path, map[string]any{"close": true})
	closed, err := b.database.Sale(t.Context(), b.changed)
	must(t, err)
	a.refused(flashgate.CodeEnded, "", "open it again", "PATCH", path, map[string]any{"restock": 5})
	b.refused(t, 1, []string{"Sale changed has ended at ", "orderworker sale open changed --for 1h"}, "sale", "restock", "changed", "5")
	if after, err := b.database.Sale(t.Context(), b.changed); err != nil || after != closed {
		t.Errorf("a refused restock has changed the sale to %+v, %v; it was %+v", after, err, closed)
	}
	if got, err := crowd[0].clients[0].Buy(t.Context(), b.changed, crowd[0].minted.Path); err != nil || got.Code != flashgate.CodeEnded {
		t.Errorf("buying in the closed sale: %s, %v", got, err)
	}
	// What the error says works: in one change, and by commands.
	a.asks(http.StatusOK, "PATCH", path, map[string]any{"open": true, "restock": 5})
	b.buysSoon(t, "after it was opened and restocked in one", crowd[0])
	b.done(t, "ended", "sale", "close", "changed")
	b.done(t, "open", "sale", "open", "changed", "--for", "1h")
	b.done(t, "open", "sale", "restock", "changed", "5")
	b.buysSoon(t, "after it was opened and then restocked", crowd[1])
	if after, err := b.database.Sale(t.Context(), b.changed); err != nil || after.Seeded != closed.Seeded+10 {
		t.Errorf("restocked twice by 5: %+v, %v; it was %+v", after, err, closed)
	}
}

// buysSoon buys from a sale that an operator has just opened: the gateways hear of it in
// a moment.
func (b *badInput) buysSoon(t *testing.T, what string, o *buyer) {
	t.Helper()
	eventually(t, what+" somebody can buy", func() bool {
		a, err := o.clients[0].Buy(t.Context(), o.sale, o.minted.Path)
		return err == nil && a.Status == http.StatusAccepted
	})
	b.becomes(t, what, o, "pending")
}

// badBuyers: what a buyer, or a site's own login, can put into a purchase.
func (b *badInput) badBuyers(t *testing.T) {
	crowd := b.crowd(t, b.messages, 3)
	long := strings.Repeat("u", megabyte)

	// A quantity is not theirs to say.
	o := crowd[0]
	for _, body := range []string{`{"units":-1}`, `{"units":1000}`} {
		if a, err := o.clients[0].Do(t.Context(), "POST", "/api/sales/messages/orders/"+o.minted.Path, strings.NewReader(body)); err != nil || a.Status != http.StatusAccepted {
			t.Errorf("buying with the body %s: %s, %v", body, a, err)
		}
	}
	b.becomes(t, "with a quantity", o, "pending")
	var units int64
	must(t, b.books.db.QueryRowContext(t.Context(), "SELECT sum(units) FROM orders WHERE user = ?", o.member.User).Scan(&units))
	if units != 1 {
		t.Errorf("a body with a quantity bought %d units, want 1", units)
	}
	had := o.minted.Order
	o.mint() // one more than the limit
	if a, err := o.clients[1].Buy(t.Context(), b.messages, o.minted.Path); err != nil || a.Code != flashgate.CodeAlreadyBought || a.Order != had {
		t.Errorf("one more than the limit: %s, %v; want already_bought with order %s", a, err, had)
	}

	// Another sale, and none.
	o = crowd[1]
	for _, sale := range []flashgate.SaleID{"nowhere", "changed"} {
		if a, err := o.clients[0].Buy(t.Context(), sale, o.minted.Path); err != nil || a.Code != flashgate.CodePathInvalid {
			t.Errorf("a path at sale %s: %s, %v", sale, a, err)
		}
	}
	if m, a, err := o.clients[0].Path(t.Context(), "nowhere"); err != nil || a.Code != flashgate.CodeNotFound {
		t.Errorf("a path for an unknown sale: %+v, %s, %v", m, a, err)
	}

	// 1 MB where a name belongs.
	b.longNames(t, crowd[1], long)
	b.buys(t, "after all that", crowd[1])
	b.buys(t, "somebody else", crowd[2])
}

func (b *badInput) longNames(t *testing.T, o *buyer, long string) {
	t.Helper()
	if a, err := contract.NewClient(b.URLs[0], "", nil).Login(t.Context(), long, "correct horse"); err != nil || a.Code != flashgate.CodeTooLarge {
		t.Errorf("a login with 1 MB: %.300s, %v", a, err)
	}
	// As headers they are more than any server takes; how it says so is net/http's.
	for what, ask := range map[string]func() (contract.Answer, error){
		"path": func() (contract.Answer, error) { return o.clients[0].Buy(t.Context(), b.messages, long) },
		"cookie": func() (contract.Answer, error) {
			return contract.NewClient(b.URLs[0], "", nil).Do(t.Context(), "POST", "/api/sales/messages/orders/x", nil, "Cookie", "session="+long)
		},
		"header that only the gateway may set": func() (contract.Answer, error) {
			return o.clients[0].Do(t.Context(), "GET", "/api/me", nil, "Flashgate-User", long)
		},
	} {
		if a, err := ask(); err != nil || a.Status < 400 || a.Status >= 500 {
			t.Errorf("a %s of 1 MB: %.300s, %v; want one that says whose fault it is", what, a, err)
		}
	}
	// A session of a site's own login, whose name for the user is too long.
	token := flashgate.NewSessionToken()
	must(t, b.gate.CreateSession(t.Context(), flashgate.Session{
		Key: token.Key(), User: flashgate.UserID(long), Role: flashgate.RoleCustomer, Created: time.Now(), Expires: time.Now().Add(time.Hour), Idle: time.Hour,
	}))
	must(t, o.carry(token))
	if a, err := o.clients[0].Buy(t.Context(), b.messages, o.minted.Path); err != nil || a.Code != flashgate.CodeInvalid || a.Field != "user" || !strings.Contains(string(a.Body), "must be 1 to 128 bytes") {
		t.Errorf("buying as a user with an id of 1 MB: %s, %v; want invalid on the field user", a, err)
	}
	must(t, o.login(t.Context()))
	o.mint()
}
