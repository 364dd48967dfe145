package main_test

import (
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/sqlite"
)

// wantNobody fails the test when a sale, or a user or a session, is left.
func wantNobody(t *testing.T, folder string, store *sqlite.Store) {
	t.Helper()
	if sales, err := store.Sales(t.Context()); err != nil || len(sales) > 0 {
		t.Errorf("sales %v, %v", sales, err)
	}
	if users, sessions := everybody(t, folder); users+sessions > 0 {
		t.Errorf("%d users and %d sessions are left", users, sessions)
	}
}

// everybody counts all users and sessions.
func everybody(t *testing.T, folder string) (users, sessions int) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(folder, "flashgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM session)").Scan(&users, &sessions); err != nil {
		t.Fatal(err)
	}
	return users, sessions
}

// Whoever stops it halfway has no file by which the users could be taken away later.
func TestStopped(t *testing.T) {
	t.Parallel()
	folder, store := site(t)
	file := filepath.Join(t.TempDir(), "users.csv")
	cmd := exec.CommandContext(t.Context(), binary, "--csv", file, "--sale", "run", "200000")
	cmd.Env = []string{"FLASHGATE_DATA=" + folder}
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for stopped := false; !stopped; {
		select {
		case err := <-ended:
			t.Fatalf("it ended by itself: %v, %s", err, errs.String())
		case <-tick.C:
			n, _ := everybody(t, folder)
			stopped = n > 0
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err, ok := errors.AsType[*exec.ExitError](<-ended); !ok || err.ExitCode() != 1 {
		t.Errorf("it ended with %v, %s", err, errs.String())
	}
	wantNobody(t, folder, store)
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); err != nil || len(left) > 0 {
		t.Errorf("files %q, %v", left, err)
	}
}

// A file that cannot be written is found out before anything is made.
func TestNoFile(t *testing.T) {
	t.Parallel()
	folder, store := site(t)
	if _, errs, exit := users(t, folder, "--csv", filepath.Join(folder, "none", "users.csv"), "--sale", "run", "3"); exit != 1 || !strings.Contains(errs, "no such file or directory") {
		t.Errorf("exit %d, %s", exit, errs)
	}
	wantNobody(t, folder, store)
}

// There is no room for the sessions: nobody could take the users away later.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	folder, store := site(t)
	if _, errs, exit := users(t, folder, "--csv", "/dev/full", "--sale", "run", "3"); exit != 1 || !strings.Contains(errs, "no space left") {
		t.Errorf("exit %d, %s", exit, errs)
	}
	wantNobody(t, folder, store)
}

// A sale that is there already is somebody's, and stays.
func TestSaleIsThere(t *testing.T) {
	t.Parallel()
	folder, store := site(t)
	now := time.Now().Truncate(time.Millisecond)
	sale := flashgate.Sale{ID: "theirs", Goods: "1", FlashPrice: 1, Starts: now.Add(-time.Hour), Ends: now.Add(time.Hour), PerUser: 1, Seeded: 5}
	if err := store.CreateSale(t.Context(), sale); err != nil {
		t.Fatal(err)
	}
	if _, errs, exit := users(t, folder, "--sale", "theirs", "3"); exit != 1 || !strings.Contains(errs, "there is a sale theirs already") {
		t.Errorf("exit %d, %s", exit, errs)
	}
	if got, err := store.Sale(t.Context(), "theirs"); err != nil || !got.Ends.Equal(sale.Ends) {
		t.Errorf("%+v, %v", got, err)
	}
}

// Sessions are for nobody else to read, whatever the file was before.
func TestModeOfTheFile(t *testing.T) {
	t.Parallel()
	folder, _ := site(t)
	file := filepath.Join(t.TempDir(), "users.csv")
	if err := os.WriteFile(file, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	link := file + ".link"
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, errs, exit := users(t, folder, "--csv", link, "2"); exit != 0 {
			t.Fatal(errs)
		}
		if info, err := os.Lstat(file); err != nil || info.Mode() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		if rows := readRows(t, file); len(rows) != 2 {
			t.Errorf("%q", rows)
		}
	}
}
