package mysql_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/mysql"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// What the DSN says of characters, times and isolation is not what the adapter
// depends on.
func TestOpenWhateverTheDSNSays(t *testing.T) {
	t.Parallel()
	dsn := serverstest.Database(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, more := range []string{
		"&charset=latin1", "&charset=utf8mb4,utf8", "&collation=utf8mb4_general_ci", "&loc=Asia%2FShanghai", "&sql_mode=%27%27",
		"&time_zone=%27%2B05%3A00%27", "&interpolateParams=false", "&clientFoundRows=false", "&multiStatements=true",
	} {
		s, err := mysql.Open(mysql.Config{DSN: dsn + more, MaxOpenConns: 1})
		if err != nil {
			t.Errorf("%s: %v", more, err)
			continue
		}
		t.Cleanup(func() { s.Close() })
		if err := s.Migrate(ctx); err != nil {
			t.Errorf("%s: %v", more, err)
			continue
		}
		sale := createSale(t, s, 5, 2)
		rs := reservations(sale, 2)
		if _, err := s.Decide(ctx, sale, rs, time.Hour); err != nil {
			t.Errorf("%s: %v", more, err)
			continue
		}
		if o, err := s.Order(t.Context(), rs[0].Order); err != nil || time.Since(o.Created).Abs() > time.Minute {
			t.Errorf("%s: %+v, %v", more, o, err)
		}
		readLog(t, s, sale, 5)
	}
}

// Nothing is left to the server's configuration, and what an operator has to put
// right is not the fault of an order.
func TestOnAStrangeServer(t *testing.T) {
	t.Parallel()
	m, err := servers.StartMariaDB(servers.MariaDBConfig{Args: []string{
		"--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT", "--default-time-zone=+05:30",
		"--character-set-server=latin1", "--transaction-isolation=SERIALIZABLE",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, name := range []string{"shop", "empty"} {
		if err := m.CreateDatabase(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	s := openStore(t, m.DSN("shop"))
	sale := createSale(t, s, 5, 2)
	if closed, err := s.ChangeSale(t.Context(), sale, flashgate.SaleChange{Close: true}); err != nil || time.Since(closed.Ends).Abs() > time.Minute {
		t.Errorf("closed: %+v, %v", closed, err)
	}
	if err := s.PutGoods(t.Context(), flashgate.Goods{ID: flashgate.GoodsID(strings.Repeat("x", 200))}); flashgate.ErrorCode(err) != flashgate.CodeInternal {
		t.Errorf("an id that is too long: %v", err)
	}
	odd := flashgate.Goods{ID: "q", Title: "a\\'\"b\n\x00灯"}
	if err := s.PutGoods(t.Context(), odd); err != nil {
		t.Error(err)
	}
	if g, err := s.Goods(t.Context(), "q"); err != nil || g != odd {
		t.Errorf("%+v, %v", g, err)
	}

	db := plain(t, m.DSN("shop"))
	exec(t, db, "CREATE USER u@'%' IDENTIFIED BY 'p'")
	exec(t, db, "GRANT SELECT ON shop.* TO u@'%'")
	as := func(user, database string) *mysql.Store {
		return openOnly(t, strings.Replace(m.DSN(database), "root@", user+"@", 1))
	}
	restock := func(s *mysql.Store) error {
		_, err := s.ChangeSale(t.Context(), sale, flashgate.SaleChange{Restock: 1})
		return err
	}
	wantAway := func(err error, what string) {
		t.Helper()
		if flashgate.ErrorCode(err) != flashgate.CodeUnavailable {
			t.Errorf("%s: %v, want unavailable", what, err)
		}
	}
	wantAway(restock(as("u:p", "shop")), "without the right to write")
	wantAway(restock(as("u:wrong", "shop")), "with a wrong password")
	wantAway(restock(as("root", "nowhere")), "without the database")
	wantAway(restock(as("root", "empty")), "without the tables")
	exec(t, db, "GRANT ALL ON shop.* TO u@'%'")
	exec(t, db, "SET GLOBAL read_only = 1")
	wantAway(restock(as("u:p", "shop")), "on a server that is read-only")
	exec(t, db, "SET GLOBAL read_only = 0")
	if err := restock(as("u:p", "shop")); err != nil {
		t.Errorf("put right: %v", err)
	}
	readLog(t, s, sale, 5)
}
