package main_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"flashgate/internal/servers"

	_ "github.com/go-sql-driver/mysql"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/redis/go-redis/v9"
)

// What the command leaves in its folder.
const (
	stateName = "state.json"
	envName   = "services.env"
	lockName  = "services.lock"
)

var binary string

// The command runs as its users run it: what it starts must outlive it.
func TestMain(m *testing.M) { os.Exit(built(m)) }

func built(m *testing.M) int {
	dir, err := os.MkdirTemp("", "flashgate-services-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "services")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		panic(string(out))
	}
	return m.Run()
}

func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		err = errors.Join(err, errors.New(errs.String()))
	}
	return string(out), err
}

func mustRun(t *testing.T, args ...string) string {
	t.Helper()
	out, err := run(t, args...)
	if err != nil {
		t.Fatalf("services %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

type state struct {
	Services map[string]service `json:"services"`
}

type service struct {
	Processes []servers.Process `json:"processes"`
}

func processes(t *testing.T, dir string) map[string]servers.Process {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, stateName))
	var s state
	if err := errors.Join(err, json.Unmarshal(b, &s)); err != nil {
		t.Fatal(err)
	}
	all := map[string]servers.Process{}
	for _, one := range s.Services {
		for _, p := range one.Processes {
			all[p.Name] = p
		}
	}
	return all
}

// sourced reads services.env as a shell does.
func sourced(t *testing.T, dir string) (redisURL, amqpURL, dsn string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sh", "-euc",
		`. "$1"; printf '%s\n' "$REDIS_URL" "$AMQP_URL" "$MYSQL_DSN"`, "sh", filepath.Join(dir, envName)).Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || len(lines) != 3 {
		t.Fatalf("%v, %q", err, out)
	}
	return lines[0], lines[1], lines[2]
}

func TestServices(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a folder of services")
	t.Cleanup(func() {
		if out, err := run(t, "stop", "--wipe", "--dir", dir); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	if out, err := run(t, "status", "--dir", dir); err == nil {
		t.Errorf("status of nothing: %s", out)
	}

	first := mustRun(t, "start", "--dir", dir)
	if env, err := os.ReadFile(filepath.Join(dir, envName)); err != nil || string(env) != first {
		t.Errorf("%v, %s has %q, printed was %q", err, envName, env, first)
	}
	redisURL, amqpURL, dsn := sourced(t, dir)
	leaveData(t, redisURL, amqpURL, dsn)
	before := processes(t, dir)
	if len(before) != 4 { // with epmd
		t.Errorf("processes %v", before)
	}

	t.Log("a second start changes nothing")
	if again := mustRun(t, "start", "--dir", dir); again != first {
		t.Errorf("%q, before %q", again, first)
	}
	if out := mustRun(t, "status", "--dir", dir); !strings.Contains(out, first) {
		t.Errorf("status: %s", out)
	}

	t.Log("what has died comes back at the same place, alone")
	if err := before["rabbitmq"].Terminate(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, "status", "--dir", dir); err == nil {
		t.Errorf("status without RabbitMQ: %s", out)
	}
	if again := mustRun(t, "start", "--dir", dir); again != first {
		t.Errorf("%q, before %q", again, first)
	}
	after := processes(t, dir)
	for name, p := range before {
		if same := after[name] == p; same == (name == "rabbitmq" || name == "epmd") {
			t.Errorf("%s: %v, before %v", name, after[name], p)
		}
	}

	t.Log("stop ends all and keeps the data")
	mustRun(t, "stop", "--dir", dir)
	for name, p := range after {
		if p.Alive() || before[name].Alive() {
			t.Errorf("%s runs", name)
		}
	}
	mustRun(t, "stop", "--dir", dir)
	if again := mustRun(t, "start", "--dir", dir); again != first {
		t.Errorf("%q, before %q", again, first)
	}
	findData(t, redisURL, amqpURL, dsn)

	t.Log("stop --wipe removes it")
	mustRun(t, "stop", "--wipe", "--dir", dir)
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != lockName {
		t.Errorf("left: %v, %v", left, err)
	}
}

func leaveData(t *testing.T, redisURL, amqpURL, dsn string) {
	t.Helper()
	use(t, redisURL, amqpURL, dsn, func(r *redis.Client, ch *amqp.Channel, db *sql.DB) error {
		_, err := ch.QueueDeclare("q", true, false, false, false, nil)
		_, e := db.ExecContext(t.Context(), "CREATE TABLE t (n INT)")
		return errors.Join(err, e, r.Set(t.Context(), "k", "v", 0).Err())
	})
}

func findData(t *testing.T, redisURL, amqpURL, dsn string) {
	t.Helper()
	use(t, redisURL, amqpURL, dsn, func(r *redis.Client, ch *amqp.Channel, db *sql.DB) error {
		_, err := ch.QueueDeclarePassive("q", true, false, false, false, nil)
		_, e := db.ExecContext(t.Context(), "SELECT n FROM t")
		return errors.Join(err, e, r.Get(t.Context(), "k").Err())
	})
}

func use(t *testing.T, redisURL, amqpURL, dsn string, f func(*redis.Client, *amqp.Channel, *sql.DB) error) {
	t.Helper()
	opts, err := redis.ParseURL(redisURL)
	if err != nil {
		t.Fatal(err)
	}
	r := redis.NewClient(opts)
	defer r.Close()
	conn, err := amqp.Dial(amqpURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := f(r, ch, db); err != nil {
		t.Error(err)
	}
}

// A state file from before a reboot names pids that others have now.
func TestStopEndsNobodyElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	b, err := json.Marshal(state{map[string]service{"redis": {[]servers.Process{{Name: "redis", PID: cmd.Process.Pid, Start: "1"}}}}})
	if err := errors.Join(err, os.WriteFile(filepath.Join(dir, stateName), b, 0o600)); err != nil {
		t.Fatal(err)
	}
	if out := mustRun(t, "stop", "--dir", dir); out != "" {
		t.Errorf("printed %q", out)
	}
	if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("another's process was ended: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "redis")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestABrokenStateFileIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, stateName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"start", "status", "stop"} {
		if _, err := run(t, command, "--dir", dir); err == nil || !strings.Contains(err.Error(), stateName) {
			t.Errorf("%s: %v", command, err)
		}
	}
}
