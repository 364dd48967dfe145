package shop_test

import (
	"errors"
	"slices"
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
		{"nobody", nil, "mobile,user,token,password\n"},
		{"two", crowd, "mobile,user,token,password\n900000000001,u1,t-1_,crowd-of-testers\n900000000002,u2,t2,crowd-of-testers\n"},
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

// A file from before there were passwords in it is read like one of today.
func TestReadCSV(t *testing.T) {
	t.Parallel()
	want := []shop.Member{{User: "u1", Mobile: "900000000001", Token: "t1"}}
	for text, good := range map[string]bool{
		"mobile,user,token\n900000000001,u1,t1\n":                              true,
		"mobile,user,token,password\n900000000001,u1,t1,crowd-of-testers\n":    true,
		"mobile,user,token\n900000000001,u1,t1,crowd-of-testers\n":             false,
		"mobile,user\n900000000001,u1\n":                                       false,
		"user,mobile,token\nu1,900000000001,t1\n":                              false,
		"mobile,user,token,password,x\n900000000001,u1,t1,crowd-of-testers,\n": false,
		"": false,
	} {
		got, err := shop.ReadCSV(strings.NewReader(text))
		if good != (err == nil) || good && !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
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
