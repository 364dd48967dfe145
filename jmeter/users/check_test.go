package main_test

import (
	"path/filepath"
	"strings"
	"testing"

	"flashgate"
	"flashgate/jmeter/realsite"

	goredis "github.com/redis/go-redis/v9"
)

func TestCheckMistakes(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--check"}, {"--check", "--sale", "x", "5"}, {"--check", "--clean", "--sale", "x", "--csv", "x"}} {
		if _, errs, exit := users(t, t.TempDir(), args...); exit != 2 || !strings.Contains(errs, "--check takes --sale, and nothing else") {
			t.Errorf("%q: exit %d, %s", args, exit, errs)
		}
	}
}

// A sale that can be bought in, and what keeps buyers out on the real backends, where gate
// and database are two servers.
func TestCheckRealBackends(t *testing.T) {
	t.Parallel()
	s := realsite.Start(t)
	stop := s.Work(t, nil)
	file := filepath.Join(t.TempDir(), "users.csv")
	if _, errs, exit := usersWith(t, s.Env(), "--csv", file, "--sale", "run", "1"); exit != 0 {
		t.Fatal(errs)
	}
	stop()
	opts, err := goredis.ParseURL(s.RedisURL)
	if err != nil {
		t.Fatal(err)
	}
	cache := goredis.NewClient(opts)
	defer cache.Close()
	for _, step := range []struct {
		name  string
		spoil func() error
		says  string // empty: the sale can be bought in
	}{
		{"open", func() error { return nil }, ""},
		{"closed by an operator", func() error {
			_, err := s.Database.ChangeSale(t.Context(), "run", flashgate.SaleChange{Close: true})
			return err
		}, "sale run has ended or was closed, which its gate does not know yet"},
		{"a Redis of another life", func() error { return cache.HSet(t.Context(), "flashgate:{run}:head", "incarnation", "x").Err() }, "the gate of sale run is closed"},
		{"a Redis without its data", func() error { return cache.FlushDB(t.Context()).Err() }, "the gate of sale run is closed"},
	} {
		if err := step.spoil(); err != nil {
			t.Fatal(err)
		}
		_, errs, exit := usersWith(t, s.Env(), "--check", "--sale", "run")
		if ok := step.says == ""; ok != (exit == 0) || !strings.Contains(errs, step.says) || strings.Count(errs, "\n") > 1 {
			t.Errorf("%s: exit %d, %q; want %q", step.name, exit, errs, step.says)
		}
	}
}
