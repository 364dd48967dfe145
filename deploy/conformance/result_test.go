package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	all, err := parseResults([]byte(`[
		{"id":"a","kind":"required","passed":true,"why":""},
		{"id":"b","kind":"required","passed":false,"why":"no"},
		{"id":"headers-store-Set-Cookie","kind":"required","passed":false,"why":"never kept"},
		{"id":"c","kind":"optimal","passed":false,"why":"depends on b"},
		{"id":"d","kind":"check","passed":true,"why":""}]`))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if failed := report(&out, all, allowed, false); failed != 1 {
		t.Errorf("%d failed, want 1: what is allowed to fail does not count, nor does an optional test", failed)
	}
	want := "required 1/3\n  b\n  headers-store-Set-Cookie\noptional 0/1\n  c\ncheck 1/1\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

// A run that tested nothing must not look like one that passed.
func TestResultsThatSayNothing(t *testing.T) {
	for _, b := range []string{``, `[]`, `{}`, `[{"id":"a","kind":"new","passed":true}]`} {
		if all, err := parseResults([]byte(b)); err == nil {
			t.Errorf("%q: no error, %v", b, all)
		}
	}
}
