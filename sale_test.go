package flashgate_test

import (
	"testing"
	"time"

	"flashgate"
)

// Units of a sale that is over, and stays so, could be bought by nobody.
func TestRestockOfAnEndedSale(t *testing.T) {
	t.Parallel()
	now := time.Unix(10_000, 0)
	at := func(d time.Duration) *time.Time { t := now.Add(d); return &t }
	for name, c := range map[string]struct {
		ends   time.Duration // from now
		change flashgate.SaleChange
		want   flashgate.Code
	}{
		"of an open sale":                 {time.Second, flashgate.SaleChange{Restock: 1}, ""},
		"of an open sale, that closes it": {time.Second, flashgate.SaleChange{Restock: 1, Close: true}, ""},
		"of one that ends now":            {0, flashgate.SaleChange{Restock: 1}, flashgate.CodeEnded},
		"of one that has ended":           {-time.Hour, flashgate.SaleChange{Restock: 1}, flashgate.CodeEnded},
		"and over with another end, too":  {-time.Hour, flashgate.SaleChange{Restock: 1, Ends: at(-time.Second)}, flashgate.CodeEnded},
		"and over with another start":     {-time.Hour, flashgate.SaleChange{Restock: 1, Starts: at(-2 * time.Hour)}, flashgate.CodeEnded},
		"that opens it":                   {-time.Hour, flashgate.SaleChange{Restock: 1, Ends: at(time.Second)}, ""},
		"no restock":                      {-time.Hour, flashgate.SaleChange{Close: true}, ""},
	} {
		s := flashgate.Sale{Starts: now.Add(-3 * time.Hour), Ends: now.Add(c.ends)}
		if got := flashgate.ErrorCode(c.change.ValidateFor(s, now)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
