package pagestore_test

import (
	"reflect"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/pagestore"
)

func TestEnvelope(t *testing.T) {
	t.Parallel()
	p := &flashgate.Page{Key: "k", URL: "https://shop.example/", Tags: []string{"a", ""}, Ends: time.UnixMilli(1790000000123), Data: []byte("page\x00")}
	b := pagestore.Seal(p, "log", 7)
	got, log, seen, err := pagestore.Unseal("k", b)
	if err != nil || log != "log" || seen != 7 || !reflect.DeepEqual(got, p) {
		t.Errorf("%+v, %q, %d, %v", got, log, seen, err)
	}
	for i := range len(b) - len(p.Data) {
		if _, _, _, err := pagestore.Unseal("k", b[:i]); err == nil {
			t.Errorf("the first %d bytes were taken for all", i)
		}
	}
	b[0]++
	if _, _, _, err := pagestore.Unseal("k", b); err == nil {
		t.Error("another version was taken")
	}
}

// What can be read is written and read the same.
func FuzzUnseal(f *testing.F) {
	f.Add(pagestore.Seal(&flashgate.Page{URL: "u", Tags: []string{"t"}, Data: []byte("x")}, "log", 3))
	f.Add([]byte{1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, log, seen, err := pagestore.Unseal("k", b)
		if err != nil {
			return
		}
		again, log2, seen2, err := pagestore.Unseal("k", pagestore.Seal(p, log, seen))
		if err != nil || log2 != log || seen2 != seen || !again.Ends.Equal(p.Ends) || again.URL != p.URL || len(again.Data) != len(p.Data) || len(again.Tags) != len(p.Tags) {
			t.Errorf("%+v, then %+v, %v", p, again, err)
		}
	})
}
