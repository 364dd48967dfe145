package mysql_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/servers/serverstest"
)

// What an operator puts right passes: a worker must not make dead letters of orders
// because of it.
func TestErrorsThatPass(t *testing.T) {
	t.Parallel()
	dsn := serverstest.Database(t)
	for what, dsn := range map[string]string{
		"no schema":      dsn,
		"no database":    serverstest.MariaDB(t).DSN("there_is_none"),
		"wrong password": strings.Replace(dsn, "root@", "root:wrong@", 1),
		"read-only":      dsn + "&tx_read_only=1",
	} {
		s := openOnly(t, dsn)
		_, err := s.Decide(t.Context(), "1", reservations("1", 3), time.Hour)
		if flashgate.ErrorCode(err) != flashgate.CodeUnavailable {
			t.Errorf("%s: %v, want unavailable", what, err)
		}
	}
}

// What does not fit is refused, also where the server has been told to cut it off.
func TestStrict(t *testing.T) {
	t.Parallel()
	dsn := serverstest.Database(t)
	openStore(t, dsn)
	s := openOnly(t, dsn+"&sql_mode=%27%27")
	err := s.CreateUsers(t.Context(), []flashgate.User{{ID: "u", Mobile: "1", Name: strings.Repeat("long", 100)}})
	if flashgate.ErrorCode(err) != flashgate.CodeInternal {
		t.Errorf("a name that does not fit: %v, want internal", err)
	}
}

// Texts for people are kept whatever is in them.
func TestTextsForPeople(t *testing.T) {
	t.Parallel()
	dsn := serverstest.Database(t)
	s := openStore(t, dsn)
	text := "cut off \xff " + strings.Repeat("更", 50_000)
	if err := s.Audit(t.Context(), flashgate.Audit{Sale: "1", Action: "test", Detail: text}); err != nil {
		t.Errorf("Audit: %v", err)
	}
	if as, err := s.Audits(t.Context(), "1", 1); err != nil || len(as) != 1 || !strings.HasPrefix(as[0].Detail, "cut off  更更") {
		t.Errorf("Audits: %d, %v", len(as), err)
	}
	if err := s.DeadLetter(t.Context(), flashgate.DeadLetter{Order: "unreadable.1", Reason: flashgate.ReasonFailed, Detail: text}); err != nil {
		t.Errorf("DeadLetter: %v", err)
	}
}

// A sale is not found by another spelling of its id: the server passes over blanks at
// the end.
func TestSaleByItsID(t *testing.T) {
	t.Parallel()
	s := openStore(t, serverstest.Database(t))
	id := createSale(t, s, 1, 1) + " "
	for name, call := range map[string]func(context.Context) error{
		"Sale": func(ctx context.Context) error { _, err := s.Sale(ctx, id); return err },
		"ChangeSale": func(ctx context.Context) error {
			_, err := s.ChangeSale(ctx, id, flashgate.SaleChange{Restock: 1})
			return err
		},
		"RaiseEpoch": func(ctx context.Context) error { _, err := s.RaiseEpoch(ctx, id, 1); return err },
	} {
		if err := call(t.Context()); flashgate.ErrorCode(err) != flashgate.CodeNotFound {
			t.Errorf("%s: %v, want not found", name, err)
		}
	}
}
