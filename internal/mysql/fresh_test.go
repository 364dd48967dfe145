package mysql_test

import (
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/mysql"
	"flashgate/internal/servers/serverstest"
)

// A large batch is taken for new, and is decided as a small one all the same when
// something in it is not.
func TestLargeBatchIsNotNew(t *testing.T) {
	t.Parallel()
	const n, at = 100, 40
	decide := func(t *testing.T, s *mysql.Store, sale flashgate.SaleID, rs ...flashgate.Reservation) []flashgate.Decision {
		t.Helper()
		ds, err := s.Decide(t.Context(), sale, rs, time.Hour)
		if err != nil || len(ds) != len(rs) {
			t.Fatalf("%d decisions, %v; want %d", len(ds), err, len(rs))
		}
		return ds
	}
	// another is another order of the same user.
	another := func(sale flashgate.SaleID, r flashgate.Reservation) flashgate.Reservation {
		o := reservations(sale, 1)[0]
		_, o.Order = keyring().Mint(flashgate.Claim{Sale: string(sale), User: string(r.User)}, time.Now().Add(time.Hour))
		o.User = r.User
		return o
	}
	bury := func(t *testing.T, s *mysql.Store, id flashgate.OrderID) {
		t.Helper()
		if err := s.DeadLetter(t.Context(), flashgate.DeadLetter{Order: id, Sale: id.Sale(), Reason: flashgate.ReasonFailed}); err != nil {
			t.Fatal(err)
		}
	}
	type prepare func(t *testing.T, s *mysql.Store, sale flashgate.SaleID, rs []flashgate.Reservation)
	pending := flashgate.Decision{Status: flashgate.StatusPending}
	rejected := func(reason string) flashgate.Decision {
		return flashgate.Decision{Status: flashgate.StatusRejected, Reason: reason}
	}
	dead := func(reason string, twice bool) flashgate.Decision {
		return flashgate.Decision{Status: flashgate.StatusDeadLettered, Reason: reason, DeadLettered: true, Duplicate: twice}
	}
	for name, c := range map[string]struct {
		units   int64
		perUser int
		prepare prepare
		want    flashgate.Decision // of the one that is not like the others
	}{
		"all of it is": {n, 1, func(*testing.T, *mysql.Store, flashgate.SaleID, []flashgate.Reservation) {}, pending},
		"a repeat": {n, 1, func(t *testing.T, s *mysql.Store, sale flashgate.SaleID, rs []flashgate.Reservation) {
			decide(t, s, sale, rs[at])
		}, flashgate.Decision{Status: flashgate.StatusPending, Duplicate: true}},
		"a repeat of a cancelled one": {n, 1, func(t *testing.T, s *mysql.Store, sale flashgate.SaleID, rs []flashgate.Reservation) {
			decide(t, s, sale, rs[at])
			if _, err := s.Cancel(t.Context(), rs[at].Order, rs[at].User); err != nil {
				t.Fatal(err)
			}
		}, flashgate.Decision{Status: flashgate.StatusCancelled, Reason: flashgate.ReasonUser, Duplicate: true}},
		"an id with another payload": {2 * n, 2, func(t *testing.T, s *mysql.Store, sale flashgate.SaleID, rs []flashgate.Reservation) {
			decide(t, s, sale, rs[at])
			rs[at].Units = 2
		}, dead(flashgate.ReasonMismatch, false)},
		"a dead letter": {n, 1, func(t *testing.T, s *mysql.Store, sale flashgate.SaleID, rs []flashgate.Reservation) {
			bury(t, s, rs[at].Order)
		}, dead(flashgate.ReasonFailed, true)},
		"a dead letter of something else": {n, 1, func(t *testing.T, s *mysql.Store, sale flashgate.SaleID, rs []flashgate.Reservation) {
			bury(t, s, reservations(sale, 1)[0].Order)
		}, pending},
		"its user has bought": {n + 1, 1, func(t *testing.T, s *mysql.Store, sale flashgate.SaleID, rs []flashgate.Reservation) {
			decide(t, s, sale, another(sale, rs[at]))
		}, rejected(flashgate.ReasonAlreadyBought)},
		"its user has bought, and may again": {n + 1, 2, func(t *testing.T, s *mysql.Store, sale flashgate.SaleID, rs []flashgate.Reservation) {
			decide(t, s, sale, another(sale, rs[at]))
		}, pending},
		"its user is there twice": {n, 1, func(t *testing.T, s *mysql.Store, sale flashgate.SaleID, rs []flashgate.Reservation) {
			rs[at] = another(sale, rs[0])
		}, rejected(flashgate.ReasonAlreadyBought)},
		"its user is there twice, and may be": {n, 2, func(t *testing.T, s *mysql.Store, sale flashgate.SaleID, rs []flashgate.Reservation) {
			rs[at] = another(sale, rs[0])
		}, pending},
		"too many units": {n, 2, func(t *testing.T, s *mysql.Store, sale flashgate.SaleID, rs []flashgate.Reservation) {
			rs[at].Units = 3
		}, rejected(flashgate.ReasonAlreadyBought)},
		"its user has bought, and too little is left": {1, 1, func(t *testing.T, s *mysql.Store, sale flashgate.SaleID, rs []flashgate.Reservation) {
			decide(t, s, sale, another(sale, rs[at]))
		}, rejected(flashgate.ReasonAlreadyBought)},
		"it is not valid": {n, 1, func(t *testing.T, s *mysql.Store, sale flashgate.SaleID, rs []flashgate.Reservation) {
			rs[at].Units = 0
		}, dead(flashgate.ReasonInvalid, false)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, serverstest.Database(t))
			sale := createSale(t, s, c.units, c.perUser)
			rs := reservations(sale, n)
			c.prepare(t, s, sale, rs)
			first := decide(t, s, sale, rs...)
			for i, d := range first {
				want := pending
				switch {
				case i == at:
					want = c.want
				case c.units == 1:
					want = rejected(flashgate.ReasonSoldOut)
				}
				want.Order = rs[i].Order
				if want.Seq = d.Seq; d.DeadLettered != (d.Seq == 0) {
					t.Errorf("number %d has seq %d", i, d.Seq)
				}
				if d != want {
					t.Errorf("number %d: %+v, want %+v", i, d, want)
				}
			}
			for i, d := range decide(t, s, sale, rs...) {
				first[i].Duplicate = !first[i].DeadLettered || first[i].Reason == flashgate.ReasonFailed || first[i].Reason == flashgate.ReasonInvalid
				if d != first[i] {
					t.Errorf("number %d, again: %+v, want %+v", i, d, first[i])
				}
			}
			readLog(t, s, sale, c.units)
			// The shares are there: whoever has used up theirs gets no more.
			for _, r := range []flashgate.Reservation{rs[0], rs[at], rs[n-1]} {
				for range c.perUser {
					decide(t, s, sale, another(sale, r))
				}
				if d := decide(t, s, sale, another(sale, r))[0]; d.Status != flashgate.StatusRejected {
					t.Errorf("user %s has %d allowed and gets one more: %+v", r.User, c.perUser, d)
				}
			}
		})
	}
}

// A sale that nobody has created has no order, however many come.
func TestLargeBatchOfAnUnknownSale(t *testing.T) {
	t.Parallel()
	s := openStore(t, serverstest.Database(t))
	ds, err := s.Decide(t.Context(), "nosuch", reservations("nosuch", 100), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range ds {
		if !d.DeadLettered || d.Reason != flashgate.ReasonNoSale {
			t.Errorf("number %d: %+v", i, d)
		}
	}
}
