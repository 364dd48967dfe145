package conformance

import (
	"crypto/rand"
	"strings"
	"sync"
	"testing"
	"time"

	"flashgate"
)

// unpaid is the time to live of orders that are not to expire in a test.
const unpaid = time.Hour

// keys mints the order ids of all suites.
var keys = sync.OnceValue(func() *flashgate.Keyring {
	k, err := flashgate.ParseKeyring(flashgate.NewKey())
	if err != nil {
		panic(err)
	}
	return k
})

// unique is a fresh word of 20 letters and digits: 100 random bits.
func unique() string { return strings.ToLower(rand.Text()[:20]) }

// now is whole milliseconds: what every backend can store.
func now() time.Time { return time.Now().Truncate(time.Millisecond) }

// newSale is a sale that started an hour ago and ends in an hour.
func newSale(units int64, perUser int) flashgate.Sale {
	return flashgate.Sale{
		ID: flashgate.SaleID("s" + unique()), Goods: "goods", FlashPrice: 1999,
		Starts: now().Add(-time.Hour), Ends: now().Add(time.Hour), PerUser: perUser, Seeded: units,
	}
}

func upcoming(s flashgate.Sale) flashgate.Sale {
	s.Starts, s.Ends = now().Add(time.Hour), now().Add(2*time.Hour)
	return s
}

func ended(s flashgate.Sale) flashgate.Sale {
	s.Starts, s.Ends = now().Add(-2*time.Hour), now().Add(-time.Hour)
	return s
}

func newUser() flashgate.UserID { return flashgate.UserID("u" + unique()) }

// reservation asks for units under a freshly minted id.
func reservation(sale flashgate.SaleID, user flashgate.UserID, units int) flashgate.Reservation {
	_, id := keys().Mint(flashgate.Claim{Sale: string(sale), User: string(user)}, time.Now().Add(time.Hour))
	return flashgate.Reservation{Order: id, User: user, Units: units, At: time.Now().UnixMilli()}
}

// reservations is n of them, each of one unit and by a user of its own.
func reservations(sale flashgate.SaleID, n int) []flashgate.Reservation {
	rs := make([]flashgate.Reservation, n)
	for i := range rs {
		rs[i] = reservation(sale, newUser(), 1)
	}
	return rs
}

func ids(rs []flashgate.Reservation) []flashgate.OrderID {
	out := make([]flashgate.OrderID, len(rs))
	for i, r := range rs {
		out[i] = r.Order
	}
	return out
}

// badReservations are of the sale but for the first, and none may be taken.
func badReservations(sale flashgate.SaleID) map[string]flashgate.Reservation {
	good := func() flashgate.Reservation { return reservation(sale, newUser(), 1) }
	foreign := reservation(newSale(1, 1).ID, newUser(), 1)
	noUser, badUser, noUnits, less, many, early := good(), good(), good(), good(), good(), good()
	noUser.User = ""
	badUser.User = "two words"
	noUnits.Units = 0
	less.Units = -1
	many.Units = flashgate.MaxUnits + 1
	early.At = -1
	return map[string]flashgate.Reservation{
		"another sale's id": foreign, "no user": noUser, "user with a space": badUser, "no units": noUnits,
		"negative units": less, "too many units": many, "negative time": early,
	}
}

// concurrently calls fn n times at the same time and waits for all of them. fn
// reports by t.Error only.
func concurrently(n int, fn func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			fn(i)
		})
	}
	close(start)
	wg.Wait()
}

// patience is how long a suite waits for what must happen in the end.
const patience = 10 * time.Second

// eventually polls until ok, and fails the test after patience.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		<-tick.C
	}
}

// elapse lets d go by on every clock that runs as fast as ours.
func elapse(t testing.TB, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}
