package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/sqlite"
)

func openStore(t testing.TB) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(filepath.Join(t.TempDir(), "flashgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func createSale(t testing.TB, s *sqlite.Store, id flashgate.SaleID, units int64) {
	t.Helper()
	err := s.CreateSale(t.Context(), flashgate.Sale{
		ID: id, Goods: "g", FlashPrice: 100, PerUser: 1, Seeded: units,
		Starts: time.Now().Add(-time.Hour), Ends: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
}

var keys = func() *flashgate.Keyring {
	k, err := flashgate.ParseKeyring(flashgate.NewKey())
	if err != nil {
		panic(err)
	}
	return k
}()

func reservation(sale flashgate.SaleID, user string) flashgate.Reservation {
	_, id := keys.Mint(flashgate.Claim{Sale: string(sale), User: user}, time.Now().Add(time.Minute))
	return flashgate.Reservation{Order: id, User: flashgate.UserID(user), Units: 1, At: time.Now().UnixMilli()}
}

func TestOpenSharesOneStorePerFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a", "flashgate.db")
	a, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if a != b {
		t.Error("two Stores for one file in one process")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Check(t.Context()); err != nil {
		t.Errorf("the first Close closed it for the second user: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.PutGoods(t.Context(), flashgate.Goods{ID: "g"}); flashgate.ErrorCode(err) != flashgate.CodeUnavailable {
		t.Errorf("a write after the last Close: %v", err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	newer := filepath.Join(dir, "newer.db")
	db, err := sql.Open("sqlite", newer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		newer:                           "newer flashgate",
		garbage:                         "not a database",
		filepath.Join(garbage, "x.db"):  "not a directory",
		"/proc/nowhere/flashgate/no.db": "the folder must exist",
	} {
		_, err := sqlite.Open(path)
		if flashgate.ErrorCode(err) != flashgate.CodeUnavailable || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%s) = %v, want CodeUnavailable with %q", path, err, want)
		}
	}
}

func TestTheFileIsPrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s, err := sqlite.Open(filepath.Join(dir, "flashgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "flashgate.db"): 0o600} {
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := fi.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
}

// A write that fails must not take those along that share its commit.
func TestGroupCommitKeepsWritesApart(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	createSale(t, s, "1", 1000)
	var wg sync.WaitGroup
	var mu sync.Mutex
	good := 0
	for i := range 200 {
		wg.Go(func() {
			if i%2 == 0 {
				// The same id for all: every one but the first fails inside its savepoint.
				_ = s.CreateSale(context.Background(), flashgate.Sale{ID: "2", Goods: "g", PerUser: 1,
					Starts: time.Now(), Ends: time.Now().Add(time.Hour)})
				return
			}
			r := reservation("1", fmt.Sprint("u", i))
			out, err := s.Reserve(context.Background(), "1", []flashgate.Reservation{r})
			if err == nil && out[0].Outcome == flashgate.OutcomeAccepted {
				mu.Lock()
				good++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	v, err := s.View(t.Context(), "1")
	if err != nil {
		t.Fatal(err)
	}
	if good != 100 || v.Held != 100 || v.Free != 900 {
		t.Errorf("accepted %d, held %d, free %d; want 100, 100, 900", good, v.Held, v.Free)
	}
	if _, err := s.Sale(t.Context(), "2"); err != nil {
		t.Errorf("the one good CreateSale is gone: %v", err)
	}
}

// A write that is alone in its commit and fails leaves nothing behind, and the next one
// works.
func TestALoneWriteThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	user := func(mobile string) flashgate.User {
		return flashgate.User{ID: flashgate.UserID("u" + mobile), Mobile: mobile, Name: "n", PasswordHash: "x", Role: flashgate.RoleCustomer, Created: time.Now()}
	}
	twice := []flashgate.User{user("1"), user("2"), user("1")}
	if err := s.CreateUsers(t.Context(), twice); err == nil {
		t.Fatal("the same user twice was taken")
	}
	if err := s.CreateUsers(t.Context(), twice[:2]); err != nil {
		t.Errorf("something of the write that failed is there: %v", err)
	}
}

func BenchmarkReserve(b *testing.B) {
	for _, batch := range []int{1, 64, 512} {
		b.Run(fmt.Sprint("batch=", batch), func(b *testing.B) {
			s := openStore(b)
			createSale(b, s, "1", 1_000_000_000)
			rs := make([]flashgate.Reservation, batch)
			i := 0
			for b.Loop() {
				for j := range rs {
					i++
					rs[j] = reservation("1", fmt.Sprint("u", i))
				}
				out, err := s.Reserve(b.Context(), "1", rs)
				if err != nil || (out[0].Outcome != flashgate.OutcomeAccepted && out[0].Outcome != flashgate.OutcomeBusy) {
					b.Fatal(out, err)
				}
			}
			b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "reservations/s")
		})
	}
}

func TestRemoveRefusesAFileInUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "flashgate.db")
	if err := sqlite.Remove(path); err != nil {
		t.Errorf("nothing there: %v", err)
	}
	s, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	createSale(t, s, "1", 1)
	if _, err := s.Reserve(t.Context(), "1", []flashgate.Reservation{reservation("1", "u")}); err != nil {
		t.Fatal(err)
	}
	if ds, err := s.Receive(t.Context(), 10); err != nil || len(ds) != 1 {
		t.Fatalf("Receive: %v, %v", ds, err)
	}
	if err := sqlite.Remove(path); flashgate.ErrorCode(err) != flashgate.CodeWrongState {
		t.Errorf("a file in use: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := sqlite.Remove(path); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(path + "*"); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
