package command_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"flashgate"
)

// What comes from outside may be a megabyte, and the sales may be many: what is printed
// for people stays short, and says where the rest is.
func TestLong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	record := "{" + strings.Repeat("u", 1_000_000)
	for i := range 25 {
		createSale(t, s, flashgate.SaleID(fmt.Sprintf("s%02d", i)), 1, -time.Hour, time.Hour)
	}
	letter := flashgate.DeadLetter{Order: "unreadable.00ff", Record: []byte(record), Reason: flashgate.ReasonUnreadable, Detail: "it is not JSON"}
	if err := s.DeadLetter(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   []string
		exit   int
		words  string
		atMost int // bytes in all
	}{
		{[]string{"orders", "show", "unreadable.00ff"}, 0, "… (1000001 bytes, --json prints them all)", 2000},
		{[]string{"orders", "dead"}, 0, "it is not JSON", 2000},
		{[]string{"orders", "drop", "unreadable.00ff"}, 1, "… (1000001 bytes, --json prints them all)", 2000},
		{[]string{"orders", "show", "unreadable.00ff", "--json"}, 0, record, 1_002_000},
		{[]string{"sale", "close", "nowhere"}, 1, "s00, s01, s02, s03, s04, s05, s06, s07, s08, s09, s10, s11, s12, s13, s14, s15, s16, s17, s18, s19 and 5 more, see `orderworker sale list`.", 400},
	} {
		exit, stdout, stderr := call(t.Context(), map[string]string{"FLASHGATE_DATA": dir}, "n\n", true, c.args...)
		if out := stdout + stderr; exit != c.exit || !strings.Contains(out, c.words) || len(out) > c.atMost {
			t.Errorf("%v: exit %d, %d bytes, %.1500s; want exit %d, at most %d bytes, and %.200q", c.args, exit, len(out), out, c.exit, c.atMost, c.words)
		}
	}
}
