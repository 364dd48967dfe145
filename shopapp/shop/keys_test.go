package shop_test

import (
	"path/filepath"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/memory"
	"flashgate/internal/sqlite"
	"flashgate/shopapp/shop"
)

// changing are keys that the test changes, as a rotation does.
type changing struct{ ring *flashgate.Keyring }

func (c *changing) Keyring() *flashgate.Keyring { return c.ring }

func newRing(t *testing.T) *flashgate.Keyring {
	t.Helper()
	k, err := flashgate.ParseKeyring(flashgate.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// An order with a row stays its buyer's, to read, to pay and to cancel, and nobody else's,
// when the key that signed its id has ended.
func TestOrdersOutliveTheirKeys(t *testing.T) {
	t.Parallel()
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "flashgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	state, err := memory.New(memory.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	keys := &changing{newRing(t)}
	s, err := shop.New(shop.Config{Users: store, Sessions: store, Goods: store, Sales: store, Orders: store, Stock: store, Limiter: state, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Truncate(time.Millisecond)
	err = store.CreateSale(t.Context(), flashgate.Sale{ID: "1", Goods: "goods", FlashPrice: 1999, Starts: now.Add(-time.Hour), Ends: now.Add(time.Hour), PerUser: 2, Seeded: 5})
	if err != nil {
		t.Fatal(err)
	}
	order := func() flashgate.OrderID {
		t.Helper()
		_, id := keys.ring.Mint(flashgate.Claim{Sale: "1", User: "ann"}, now)
		ds, err := store.Decide(t.Context(), "1", []flashgate.Reservation{{Order: id, User: "ann", Units: 1, At: now.UnixMilli()}}, time.Hour)
		if err != nil || ds[0].Status != flashgate.StatusPending {
			t.Fatal(ds, err)
		}
		return id
	}
	paid, cancelled := order(), order()
	_, never := keys.ring.Mint(flashgate.Claim{Sale: "1", User: "ann"}, now)
	keys.ring = newRing(t)

	for name, call := range map[string]func(flashgate.OrderID, flashgate.UserID) error{
		"read": func(id flashgate.OrderID, user flashgate.UserID) error {
			_, err := s.Order(t.Context(), id, user)
			return err
		},
		"pay": func(id flashgate.OrderID, user flashgate.UserID) error {
			_, err := s.SimulatedPayment(t.Context(), id, user)
			return err
		},
		"cancel": func(id flashgate.OrderID, user flashgate.UserID) error {
			_, err := s.Cancel(t.Context(), id, user)
			return err
		},
	} {
		for _, x := range []struct {
			id   flashgate.OrderID
			user flashgate.UserID
		}{{paid, "bob"}, {never, "ann"}, {"1.x", "ann"}, {"", "ann"}} {
			if err := call(x.id, x.user); flashgate.ErrorCode(err) != flashgate.CodeNotFound {
				t.Errorf("%s %q by %s: %v, want not_found", name, x.id, x.user, err)
			}
		}
	}
	if o, err := s.SimulatedPayment(t.Context(), paid, "ann"); err != nil || o.Status != flashgate.StatusPaid {
		t.Errorf("pay: %+v, %v", o, err)
	}
	if o, err := s.Cancel(t.Context(), cancelled, "ann"); err != nil || o.Status != flashgate.StatusCancelled {
		t.Errorf("cancel: %+v, %v", o, err)
	}
	if o, err := s.Order(t.Context(), paid, "ann"); err != nil || o.Status != flashgate.StatusPaid {
		t.Errorf("read: %+v, %v", o, err)
	}
}
