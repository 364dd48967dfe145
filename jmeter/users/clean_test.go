package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/sqlite"
)

// crowd is a site with users and a sale of 7 units that the command has made.
func crowd(t *testing.T) (folder, file string, store *sqlite.Store, members [][]string) {
	t.Helper()
	folder, store = site(t)
	file = filepath.Join(t.TempDir(), "users.csv")
	if _, errs, exit := users(t, folder, "--csv", file, "--sale", "run", "--units", "7", "3"); exit != 0 {
		t.Fatal(errs)
	}
	return folder, file, store, readRows(t, file)
}

func readRows(t *testing.T, file string) (rows [][]string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n")[1:] {
		rows = append(rows, strings.Split(line, ","))
	}
	return rows
}

func reservation(t *testing.T, sale flashgate.SaleID, user string) flashgate.Reservation {
	t.Helper()
	keys, err := flashgate.ParseKeyring(flashgate.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	_, id := keys.Mint(flashgate.Claim{Sale: string(sale), User: user}, time.Now().Add(time.Hour))
	return flashgate.Reservation{Order: id, User: flashgate.UserID(user), Units: 1}
}

// buy reserves and lets the order worker's code decide.
func buy(t *testing.T, store *sqlite.Store, sale flashgate.SaleID, user string) flashgate.Reservation {
	t.Helper()
	r := reservation(t, sale, user)
	if out, err := store.Reserve(t.Context(), sale, []flashgate.Reservation{r}); err != nil || out[0].Outcome != flashgate.OutcomeAccepted {
		t.Fatalf("%+v, %v", out, err)
	}
	if _, err := store.Decide(t.Context(), sale, []flashgate.Reservation{r}, time.Hour); err != nil {
		t.Fatal(err)
	}
	ds, err := store.Receive(t.Context(), 100)
	if err == nil {
		err = store.Ack(t.Context(), ds)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// dead makes a dead letter of a reservation.
func dead(t *testing.T, store *sqlite.Store, r flashgate.Reservation) {
	t.Helper()
	record, err := json.Marshal(r)
	if err == nil {
		err = store.DeadLetter(t.Context(), flashgate.DeadLetter{Order: r.Order, Sale: r.Order.Sale(), Record: record, Reason: flashgate.ReasonFailed, Created: time.Now()})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// there counts the users and sessions of a file that exist.
func there(t *testing.T, store *sqlite.Store, rows [][]string) (n int) {
	t.Helper()
	for _, r := range rows {
		if _, err := store.User(t.Context(), flashgate.UserID(r[1])); err == nil {
			n++
		}
		if _, err := store.Session(t.Context(), flashgate.SessionToken(r[2]).Key()); err == nil {
			n++
		}
	}
	return n
}

func TestClean(t *testing.T) {
	t.Parallel()
	folder, file, store, members := crowd(t)
	other := filepath.Join(t.TempDir(), "others.csv")
	if _, errs, exit := users(t, folder, "--csv", other, "--sale", "other", "2"); exit != 0 {
		t.Fatal(errs)
	}
	order := buy(t, store, "run", members[0][1])
	theirs := buy(t, store, "other", readRows(t, other)[0][1])
	lost := reservation(t, "run", members[1][1])
	dead(t, store, lost)
	for range 2 { // a second time changes nothing
		if out, errs, exit := users(t, folder, "--clean", "--csv", file, "--sale", "run", "--close"); exit != 0 || out != "" {
			t.Fatalf("exit %d\n%s%s", exit, out, errs)
		}
		if n := there(t, store, members); n != 0 {
			t.Errorf("%d users and sessions are left", n)
		}
		for _, id := range []flashgate.OrderID{order.Order, lost.Order} {
			if o, err := store.Order(t.Context(), id); flashgate.ErrorCode(err) != flashgate.CodeNotFound {
				t.Errorf("order %+v, %v", o, err)
			}
		}
		if _, err := store.View(t.Context(), "run"); flashgate.ErrorCode(err) != flashgate.CodeNotFound {
			t.Errorf("the gate: %v", err)
		}
		if _, err := store.Sale(t.Context(), "run"); flashgate.ErrorCode(err) != flashgate.CodeNotFound {
			t.Errorf("the sale: %v", err)
		}
	}
	if n := there(t, store, readRows(t, other)); n != 4 {
		t.Errorf("of the other file's users and sessions %d are left, want 4", n)
	}
	if _, err := store.Order(t.Context(), theirs.Order); err != nil {
		t.Errorf("the other sale's order: %v", err)
	}
}

func TestCleanRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, store *sqlite.Store, file string, members [][]string)
		args  []string
		says  string
	}{
		{"a sale that is open", func(*testing.T, *sqlite.Store, string, [][]string) {}, []string{"--sale", "run"}, "has not ended: close it first"},
		{"a reservation on the way", func(t *testing.T, store *sqlite.Store, _ string, members [][]string) {
			if _, err := store.Reserve(t.Context(), "run", []flashgate.Reservation{reservation(t, "run", members[0][1])}); err != nil {
				t.Fatal(err)
			}
		}, []string{"--sale", "run", "--close", "--wait", "300ms"}, "1 reservations of sale run are not decided"},
		{"a reservation that the queue has lost", func(t *testing.T, store *sqlite.Store, _ string, members [][]string) {
			if _, err := store.Reserve(t.Context(), "run", []flashgate.Reservation{reservation(t, "run", members[0][1])}); err != nil {
				t.Fatal(err)
			}
			ds, err := store.Receive(t.Context(), 1)
			if err == nil {
				err = store.Ack(t.Context(), ds)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, []string{"--sale", "run", "--close", "--wait", "300ms"}, "1 reservations of sale run are not decided"},
		{"a message in the queue", func(t *testing.T, store *sqlite.Store, _ string, members [][]string) {
			if err := store.Publish(t.Context(), flashgate.NewMessage("run", 1, buy(t, store, "run", members[0][1]))); err != nil {
				t.Fatal(err)
			}
		}, []string{"--sale", "run", "--close", "--wait", "300ms"}, "A message of sale run is in the queue"},
		{"a sale to come", func(t *testing.T, store *sqlite.Store, _ string, _ [][]string) {
			starts := time.Now().Add(time.Hour)
			ends := starts.Add(time.Hour)
			if _, err := store.ChangeSale(t.Context(), "run", flashgate.SaleChange{Starts: &starts, Ends: &ends}); err != nil {
				t.Fatal(err)
			}
		}, []string{"--sale", "run", "--close"}, "has not started: it is not a load test's"},
		{"somebody else's dead letter", func(t *testing.T, store *sqlite.Store, _ string, _ [][]string) {
			dead(t, store, reservation(t, "run", "stranger"))
		}, []string{"--sale", "run", "--close"}, "has an order of user stranger"},
		{"somebody else's reservation on the way", func(t *testing.T, store *sqlite.Store, _ string, _ [][]string) {
			if _, err := store.Reserve(t.Context(), "run", []flashgate.Reservation{reservation(t, "run", "stranger")}); err != nil {
				t.Fatal(err)
			}
		}, []string{"--sale", "run", "--close"}, "has an order of user stranger"},
		{"somebody else's order", func(t *testing.T, store *sqlite.Store, _ string, _ [][]string) {
			buy(t, store, "run", "stranger")
		}, []string{"--sale", "run", "--close"}, "has an order of user stranger"},
		{"an order in a sale that stays", func(t *testing.T, store *sqlite.Store, _ string, members [][]string) {
			buy(t, store, "run", members[0][1])
		}, nil, "has an order in sale run: take that sale away first"},
		{"a real customer", func(t *testing.T, _ *sqlite.Store, file string, members [][]string) {
			rewrite(t, file, members[1][0], "13800000000")
		}, []string{"--sale", "run", "--close"}, `"13800000000" is not the number of a load test's user`},
		{"a real customer under a load test's number", func(t *testing.T, store *sqlite.Store, file string, members [][]string) {
			ann := flashgate.User{ID: "ann", Mobile: "13800000000", Name: "Ann", Role: flashgate.RoleCustomer, Created: time.Now()}
			if err := store.CreateUsers(t.Context(), []flashgate.User{ann}); err != nil {
				t.Fatal(err)
			}
			rewrite(t, file, members[1][1], "ann")
		}, []string{"--sale", "run", "--close"}, "User ann is not the load test's user"},
		{"another file", func(t *testing.T, _ *sqlite.Store, file string, _ [][]string) {
			rewrite(t, file, "mobile,user,token", "name,word")
		}, []string{"--sale", "run", "--close"}, "the first line must be mobile,user,token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			folder, file, store, members := crowd(t)
			c.spoil(t, store, file, members)
			_, errs, exit := users(t, folder, append([]string{"--clean", "--csv", file}, c.args...)...)
			if exit != 1 || !strings.Contains(errs, c.says) {
				t.Errorf("exit %d, want 1 and %q in %q", exit, c.says, errs)
			}
			if n := there(t, store, members); n != 6 {
				t.Errorf("of 6 users and sessions %d are left", n)
			}
			sale, err := store.Sale(t.Context(), "run")
			if err != nil {
				t.Errorf("the sale: %v", err)
			}
			// Only one that is the load test's is ended while it is waited for.
			if ended := !time.Now().Before(sale.Ends); ended != slices.Contains(c.args, "--wait") {
				t.Errorf("that the sale has ended is %v", ended)
			}
		})
	}
}

func rewrite(t *testing.T, file, from, to string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, []byte(strings.Replace(string(b), from, to, 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestCleanMistakes(t *testing.T) {
	t.Parallel()
	folder, _ := site(t)
	for _, c := range []struct {
		args []string
		exit int
		says string
	}{
		{[]string{"--clean"}, 2, "--clean needs --csv"},
		{[]string{"--clean", "--csv", "x", "5"}, 2, "--clean takes no number"},
		{[]string{"--clean", "--csv", "x", "--close"}, 2, "--close is for --clean with --sale"},
		{[]string{"--close", "--sale", "x", "5"}, 2, "--close is for --clean with --sale"},
		{[]string{"--clean", "--csv", filepath.Join(folder, "none.csv")}, 1, "no such file"},
	} {
		if _, errs, exit := users(t, folder, c.args...); exit != c.exit || !strings.Contains(errs, c.says) {
			t.Errorf("%q: exit %d, %q; want %d and %q", c.args, exit, errs, c.exit, c.says)
		}
	}
}
