package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"flashgate"
	"flashgate/internal/sqlite"
)

// TestFreedByAnotherProcess: what another process commits to the file is known at once,
// and what it has not committed is not.
func TestFreedByAnotherProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "flashgate.db")
	s, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	createSale(t, s, "1", 0)
	// A connection that knows nothing of this process' Store, as that of another process.
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if f := s.Freed(t.Context(), "1"); f.Term != 1 || f.Since != (flashgate.Position{Epoch: 1}) {
		t.Errorf("before: %+v", f)
	}
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"UPDATE sale SET seeded = seeded + 1, stock_left = stock_left + 1, seq = seq + 1 WHERE id = '1'",
		"UPDATE gate SET free = free + 1 WHERE sale = '1'",
	} {
		if _, err := tx.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	if f := s.Freed(t.Context(), "1"); f.Since.Applied != 0 {
		t.Errorf("before the commit: %+v", f)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if f := s.Freed(t.Context(), "1"); f.Term != 1 || f.Since != (flashgate.Position{Epoch: 1, Applied: 1}) {
		t.Errorf("after the commit: %+v", f)
	}
	if f := s.Freed(t.Context(), "none"); f.Term != 0 {
		t.Errorf("of no sale: %+v", f)
	}
}
