package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flashgate"
	"flashgate/internal/mysql"
	"flashgate/internal/redis"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// On the real backends the users go to the database and their sessions to Redis. A
// sale needs an order worker that opens its gate.
func TestRealBackends(t *testing.T) {
	t.Parallel()
	maria, cache := serverstest.OwnMariaDB(t), serverstest.OwnRedis(t, servers.RedisConfig{})
	if err := maria.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	env := []string{"MYSQL_DSN=" + maria.DSN("shop"), "REDIS_URL=" + cache.URL()}
	database, err := mysql.Open(mysql.Config{DSN: maria.DSN("shop")})
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	gate, err := redis.Open(redis.Config{URL: cache.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer gate.Close()
	if err := database.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := database.PutGoods(t.Context(), flashgate.Goods{ID: "1", Title: "Kettle", Price: 1000}); err != nil {
		t.Fatal(err)
	}
	out, errs, exit := usersWith(t, env, "2")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if exit != 0 || len(lines) != 3 {
		t.Fatalf("exit %d\n%s%s", exit, out, errs)
	}
	for _, line := range lines[1:] {
		r := strings.Split(line, ",")
		if ses, err := gate.Session(t.Context(), flashgate.SessionToken(r[2]).Key()); err != nil || string(ses.User) != r[1] {
			t.Errorf("the session of %v: %+v, %v", r, ses, err)
		}
		if u, err := database.UserByMobile(t.Context(), r[0]); err != nil || string(u.ID) != r[1] {
			t.Errorf("the user of %v: %+v, %v", r, u, err)
		}
	}
	file := filepath.Join(t.TempDir(), "users.csv")
	if _, errs, exit := usersWith(t, env, "--csv", file, "--sale", "run", "--wait", "200ms", "1"); exit != 1 || !strings.Contains(errs, "does an order worker run?") {
		t.Errorf("a sale without a worker: exit %d, %s", exit, errs)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("users were made for a sale that is not open")
	}
}
