package main_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"flashgate"
	"flashgate/internal/mysql"
	"flashgate/internal/redis"
	"flashgate/jmeter/realsite"

	goredis "github.com/redis/go-redis/v9"
)

// leftAtTheGate lists the sale's keys, but for the head of a sale that is remembered as
// closed.
func leftAtTheGate(t *testing.T, url string, sale string) []string {
	t.Helper()
	opts, err := goredis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := goredis.NewClient(opts)
	defer c.Close()
	names, err := c.Keys(t.Context(), "flashgate:{"+sale+"}:*").Result()
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, name := range names {
		ttl, err := c.PTTL(t.Context(), name).Result()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(name, ":head") || ttl <= 0 {
			left = append(left, name)
		}
	}
	return left
}

// On the real backends a worker is at work all the time: it must neither open the sale
// again nor find a message of it that makes a dead letter.
func TestCleanRealBackends(t *testing.T) {
	t.Parallel()
	s := realsite.Start(t)
	stop := s.Work(t, nil)
	file := filepath.Join(t.TempDir(), "users.csv")
	if _, errs, exit := usersWith(t, s.Env(), "--csv", file, "--sale", "run", "--units", "3", "5"); exit != 0 {
		t.Fatal(errs)
	}
	members := readRows(t, file)
	var orders []flashgate.OrderID
	for i, m := range members {
		order, ok := s.Buy(t, "run", flashgate.UserID(m[1]))
		if ok != (i < 3) {
			t.Fatalf("buyer %d: %v", i, ok)
		}
		orders = append(orders, order)
	}
	args := []string{"--clean", "--csv", file, "--sale", "run"}
	if _, errs, exit := usersWith(t, s.Env(), args...); exit != 1 || !strings.Contains(errs, "has not ended") {
		t.Fatalf("an open sale: exit %d, %s", exit, errs)
	}
	if _, errs, exit := usersWith(t, s.Env()[:2], append(args, "--close")...); exit != 1 || !strings.Contains(errs, "AMQP_URL is not set") {
		t.Fatalf("without the queue: exit %d, %s", exit, errs)
	}
	// A message that came twice, and a worker that is not there to take it.
	stop()
	s.Publish(t, 2, flashgate.Reservation{Order: orders[0], User: flashgate.UserID(members[0][1]), Units: 1})
	if _, errs, exit := usersWith(t, s.Env(), append(args, "--wait", "6s")...); exit != 1 || !strings.Contains(errs, "does an order worker run?") {
		t.Fatalf("a message in the queue: exit %d, %s", exit, errs)
	}
	if _, err := s.Database.Sale(t.Context(), "run"); err != nil {
		t.Fatalf("the sale was taken away all the same: %v", err)
	}
	s.Work(t, nil)
	fences := func() (n int) {
		t.Helper()
		db, err := sql.Open("mysql", s.DSN)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.QueryRowContext(t.Context(), "SELECT fences FROM sale WHERE id = 'run'").Scan(&n); err != nil && !errors.Is(err, sql.ErrNoRows) {
			t.Fatal(err)
		}
		return n
	}
	for round := range 2 { // two at once, where the first takes it away under the second; and once more
		drawn := fences()
		ended := make(chan string, 2)
		for i := range cap(ended) {
			if i > 0 && round == 0 {
				realsite.Wait(t, "the first sends its fence", func() bool { return fences() > drawn })
			}
			go func() {
				said := "not run"
				defer func() { ended <- said }()
				_, errs, exit := usersWith(t, s.Env(), args...)
				said = strings.Repeat(errs, exit)
			}()
		}
		for range cap(ended) {
			if errs := <-ended; errs != "" {
				t.Errorf("two at once: %s", errs)
			}
		}
		wantNothingLeft(t, s, members, orders)
	}
	if _, errs, exit := usersWith(t, s.Env(), "--csv", file, "--sale", "run", "--units", "3", "1"); exit != 0 {
		t.Errorf("a sale of the same id: %s", errs)
	}
}

// A database that never had the sale says nothing of the gate that has it: half of the
// settings may be those of another site.
func TestCleanGateOfAnotherSite(t *testing.T) {
	t.Parallel()
	s := realsite.Start(t)
	s.Work(t, nil)
	file := filepath.Join(t.TempDir(), "users.csv")
	if _, errs, exit := usersWith(t, s.Env(), "--csv", file, "--sale", "run", "--units", "3", "5"); exit != 0 {
		t.Fatal(errs)
	}
	if _, err := s.Database.ChangeSale(t.Context(), "run", flashgate.SaleChange{Close: true}); err != nil {
		t.Fatal(err)
	}
	view := func() flashgate.StockView {
		v, err := s.Gate.View(t.Context(), "run")
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	realsite.Wait(t, "the gate hears that the sale is over", func() bool { v := view(); return !v.Now.Before(v.Ends) })
	other := strings.Replace(s.DSN, "/shop", "/other", 1)
	db, err := sql.Open("mysql", s.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "CREATE DATABASE other"); err != nil {
		t.Fatal(err)
	}
	store, err := mysql.Open(mysql.Config{DSN: other})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	env := append([]string{"MYSQL_DSN=" + other}, s.Env()[1:]...)
	if _, errs, exit := usersWith(t, env, "--clean", "--csv", file, "--sale", "run"); exit != 1 || !strings.Contains(errs, "are of two sites") {
		t.Errorf("exit %d, %s", exit, errs)
	}
	if v := view(); !v.Open || v.Free != 3 {
		t.Errorf("the gate is %+v", v)
	}
	if _, errs, exit := usersWith(t, env, "--clean", "--csv", file, "--sale", "none"); exit != 0 {
		t.Errorf("a sale that nobody knows: exit %d, %s", exit, errs)
	}
}

func wantNothingLeft(t *testing.T, s *realsite.Site, members [][]string, orders []flashgate.OrderID) {
	t.Helper()
	if left := leftAtTheGate(t, s.RedisURL, "run"); len(left) > 0 {
		t.Errorf("the gate has %q", left)
	}
	sessions, err := redis.Open(redis.Config{URL: s.RedisURL})
	if err != nil {
		t.Fatal(err)
	}
	defer sessions.Close()
	for _, m := range members {
		if _, err := s.Database.User(t.Context(), flashgate.UserID(m[1])); flashgate.ErrorCode(err) != flashgate.CodeNotFound {
			t.Errorf("user %s: %v", m[1], err)
		}
		if _, err := sessions.Session(t.Context(), flashgate.SessionToken(m[2]).Key()); flashgate.ErrorCode(err) != flashgate.CodeUnauthenticated {
			t.Errorf("session of %s: %v", m[1], err)
		}
	}
	for _, id := range orders {
		if _, err := s.Database.Order(t.Context(), id); flashgate.ErrorCode(err) != flashgate.CodeNotFound {
			t.Errorf("order %s: %v", id, err)
		}
	}
	letters, err := s.Database.DeadLetters(t.Context(), 10)
	if err != nil || len(letters) > 0 {
		t.Errorf("dead letters %v, %v", letters, err)
	}
	if _, err := s.Database.Sale(t.Context(), "run"); flashgate.ErrorCode(err) != flashgate.CodeNotFound {
		t.Errorf("the sale: %v", err)
	}
}
