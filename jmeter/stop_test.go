package jmeter_test

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// usersIn counts the users of a data folder.
func usersIn(t *testing.T, folder string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(folder, "flashgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM users").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A run that is stopped leaves nobody at the site, whatever it was doing.
func TestStopped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, users string
		when        func(t *testing.T, folder, mark string) bool
	}{
		{"while users are made", "100000", func(t *testing.T, folder, _ string) bool { return usersIn(t, folder) > 0 }},
		{"while JMeter runs", "5", func(_ *testing.T, _, mark string) bool {
			_, err := os.Stat(mark)
			return err == nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			folder, mark := shopFolder(t), filepath.Join(t.TempDir(), "mark")
			cmd, _ := prepared(t.Context(), t, []string{"run", "flash-sale"}, "USERS="+c.users, "JMETER="+fake(t, nobodyCame+"; touch "+mark+"; sleep 60"),
				"TARGET="+newShop(t, shop{}), "FLASHGATE_LOADTEST_KEY=the-key", "FLASHGATE_DATA="+folder)
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = &said, &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for !c.when(t, folder, mark) {
				select {
				case err := <-ended:
					t.Fatalf("it ended by itself: %v\n%s", err, said.String())
				case <-tick.C:
				}
			}
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			if err, ok := errors.AsType[*exec.ExitError](<-ended); !ok || err.ExitCode() != 2 {
				t.Errorf("it ended with %v", err)
			}
			nothingLeft(t, folder)
			if n := usersIn(t, folder); n > 0 {
				t.Errorf("%d users are left\n%s", n, said.String())
			}
		})
	}
}
