package main_test

import (
	"context"
	"database/sql"
	"net/http"
	"path/filepath"
	"testing"

	"flashgate"
	"flashgate/deploy/contract"
	"flashgate/shopapp/shop"
)

// The whole contract, against the whole demo.
func TestContract(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	contract.Run(t, contract.Target{
		URL: d.url, LoadtestKey: loadtestKey, Password: d.password,
		Customer: shop.DemoCustomer, Administrator: shop.DemoAdministrator,
		Provoke: map[flashgate.Code]func(*testing.T, *contract.Client){
			flashgate.CodeUnavailable: d.provokeUnavailable,
			flashgate.CodeInternal:    d.provokeInternal,
		},
		// A sale reconciles only where gate and database are apart, and an outcome is
		// unknown where reserving and publishing are.
		Without: []flashgate.Code{flashgate.CodeSaleClosed, flashgate.CodeUnknownOutcome},
	})
	read(t, d.data, "1").quiet(t)
}

// provokeUnavailable writes into the demo's file without ever finishing, so that
// nobody else can write.
func (d *demo) provokeUnavailable(t *testing.T, c *contract.Client) {
	ctx := t.Context()
	conn := d.database(t)
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	a, err := c.Register(ctx, contract.Credentials{Mobile: "18600000001", Password: "correct horse", Name: "Late"})
	if err != nil || a.Status != http.StatusServiceUnavailable || a.Code != flashgate.CodeUnavailable || a.Header.Get("Retry-After") == "" {
		t.Errorf("register while nobody can write: %s %v, %v", a, a.Header, err)
	}
}

// provokeInternal damages a stored password hash.
func (d *demo) provokeInternal(t *testing.T, c *contract.Client) {
	ctx := t.Context()
	if _, err := d.database(t).ExecContext(ctx, "UPDATE users SET password = 'damaged' WHERE mobile = ?", shop.DemoCustomer); err != nil {
		t.Fatal(err)
	}
	a, err := c.Login(ctx, shop.DemoCustomer, d.password)
	if err != nil || a.Code != flashgate.CodeInternal {
		t.Errorf("login with a damaged hash: %s, %v", a, err)
	}
}

// database is a connection of our own to the demo's file.
func (d *demo) database(t *testing.T) *sql.Conn {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(d.data, "flashgate.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
