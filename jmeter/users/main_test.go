package main_test

import (
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"flashgate"
	"flashgate/internal/sqlite"
)

var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "users")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "users")
		if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%s\n%v\n", out, err)
			return 1
		}
		return m.Run()
	}())
}

// site is a data folder with one product.
func site(t *testing.T) (folder string, store *sqlite.Store) {
	t.Helper()
	folder = t.TempDir()
	store, err := sqlite.Open(filepath.Join(folder, "flashgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	if err := store.PutGoods(t.Context(), flashgate.Goods{ID: "1", Title: "Kettle", Price: 1000}); err != nil {
		t.Fatal(err)
	}
	return folder, store
}

// users runs the command on a folder.
func users(t *testing.T, folder string, args ...string) (stdout, stderr string, exit int) {
	t.Helper()
	return usersWith(t, []string{"FLASHGATE_DATA=" + folder}, args...)
}

// usersWith runs the command with these settings only.
func usersWith(t *testing.T, env []string, args ...string) (stdout, stderr string, exit int) {
	t.Helper()
	// go test keeps a result until a file changes that a test itself has read.
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sources {
		if _, err := os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = env
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestUsersAndASale(t *testing.T) {
	t.Parallel()
	folder, store := site(t)
	file := filepath.Join(t.TempDir(), "users.csv")
	if out, errs, exit := users(t, folder, "--csv", file, "--sale", "run", "--units", "7", "--per-user", "2", "3"); exit != 0 || out != "" {
		t.Fatalf("exit %d\n%s%s", exit, out, errs)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("sessions in a file of mode %v, %v", info.Mode(), err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) != 4 || strings.Join(rows[0], ",") != "mobile,user,token,password" {
		t.Fatalf("the file is %v, %v", rows, err)
	}
	for _, r := range rows[1:] {
		ses, err := store.Session(t.Context(), flashgate.SessionToken(r[2]).Key())
		if err != nil || string(ses.User) != r[1] {
			t.Errorf("the session of %v: %+v, %v", r, ses, err)
		}
		if u, err := store.UserByMobile(t.Context(), r[0]); err != nil || string(u.ID) != r[1] {
			t.Errorf("the user of %v: %+v, %v", r, u, err)
		}
	}
	v, err := store.View(t.Context(), "run")
	if err != nil || v.Free != 7 || v.PerUser != 2 || flashgate.PhaseAt(v.Now, v.Starts, v.Ends) != flashgate.PhaseOpen {
		t.Errorf("the sale at the gate: %+v, %v", v, err)
	}
}

func TestStandardOutput(t *testing.T) {
	t.Parallel()
	folder, _ := site(t)
	if out, errs, exit := users(t, folder, "2"); exit != 0 || strings.Count(out, "\n") != 3 {
		t.Errorf("exit %d\n%s%s", exit, out, errs)
	}
}

func TestHalfOfTheRealBackends(t *testing.T) {
	t.Parallel()
	for _, env := range []string{"MYSQL_DSN=root@tcp(127.0.0.1:1)/x", "REDIS_URL=redis://127.0.0.1:1/0"} {
		if _, errs, exit := usersWith(t, []string{env}, "1"); exit != 1 || !strings.Contains(errs, "set both for the real backends") {
			t.Errorf("%s: exit %d, %s", env, exit, errs)
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	folder, _ := site(t)
	for _, c := range []struct {
		args []string
		exit int
		says string
	}{
		{nil, 2, "say how many customers"},
		{[]string{"many"}, 2, `"many" is not a number of customers`},
		{[]string{"0"}, 2, `"0" is not a number of customers`},
		{[]string{"--sale", "a/b", "1"}, 2, "must be 1 to 32 characters"},
		{[]string{"--sale", "x", "--goods", "none", "1"}, 1, "no such product"},
		{[]string{"--sale", "x", "--units", "-1", "1"}, 1, "stock"},
		{[]string{"--csv", filepath.Join(folder, "no", "folder.csv"), "1"}, 1, "no such file or directory"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			t.Parallel()
			if _, errs, exit := users(t, folder, c.args...); exit != c.exit || !strings.Contains(errs, c.says) {
				t.Errorf("exit %d, %q; want %d and %q", exit, errs, c.exit, c.says)
			}
		})
	}
}
