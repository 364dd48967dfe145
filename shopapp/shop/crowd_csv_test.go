package shop_test

import (
	"errors"
	"strings"
	"testing"

	"flashgate/shopapp/shop"
)

func TestWriteCSV(t *testing.T) {
	t.Parallel()
	crowd := []shop.Member{{User: "u1", Mobile: "900000000001", Token: "t-1_"}, {User: "u2", Mobile: "900000000002", Token: "t2"}}
	for _, c := range []struct {
		name    string
		members []shop.Member
		want    string
	}{
		{"nobody", nil, "mobile,user,token\n"},
		{"two", crowd, "mobile,user,token\n900000000001,u1,t-1_\n900000000002,u2,t2\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			if err := shop.WriteCSV(&b, c.members); err != nil || b.String() != c.want {
				t.Errorf("%q, %v; want %q", b.String(), err, c.want)
			}
		})
	}
}

// full is a disk without room.
type full struct{ err error }

func (f full) Write([]byte) (int, error) { return 0, f.err }

func TestWriteCSVSaysThatItFailed(t *testing.T) {
	t.Parallel()
	want := errors.New("no space left")
	if err := shop.WriteCSV(full{want}, []shop.Member{{User: "u1"}}); !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
	}
}
