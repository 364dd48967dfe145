package flashgate_test

import (
	"testing"
	"time"

	"flashgate"
)

func TestStamp(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_000)
	old, fresh := flashgate.NewKey(), flashgate.NewKey()
	ring := func(keys string) *flashgate.Keyring {
		t.Helper()
		k, err := flashgate.ParseKeyring(keys)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	before := ring(old)
	stamp := before.Stamp("pass", now.Add(time.Minute), "a", "bc")
	type opening struct {
		ring    *flashgate.Keyring
		stamp   string
		purpose string
		at      time.Time
		fields  []string
	}
	good := opening{before, stamp, "pass", now, []string{"a", "bc"}}
	change := func(f func(*opening)) opening {
		o := good
		f(&o)
		return o
	}
	for name, o := range map[string]struct {
		opening
		want bool
	}{
		"as it was made":          {good, true},
		"the last millisecond":    {change(func(o *opening) { o.at = now.Add(time.Minute - time.Millisecond) }), true},
		"an older key":            {change(func(o *opening) { o.ring = ring(fresh + "," + old) }), true},
		"over":                    {change(func(o *opening) { o.at = now.Add(time.Minute) }), false},
		"a key that has gone":     {change(func(o *opening) { o.ring = ring(fresh) }), false},
		"another purpose":         {change(func(o *opening) { o.purpose = "proof" }), false},
		"fields cut differently":  {change(func(o *opening) { o.fields = []string{"ab", "c"} }), false},
		"a field less":            {change(func(o *opening) { o.fields = []string{"a"} }), false},
		"a field moved in front":  {change(func(o *opening) { o.purpose, o.fields = "passa", []string{"bc"} }), false},
		"cut":                     {change(func(o *opening) { o.stamp = stamp[:len(stamp)-1] }), false},
		"extended":                {change(func(o *opening) { o.stamp = stamp + "A" }), false},
		"a character changed":     {change(func(o *opening) { o.stamp = "A" + stamp[1:] }), false},
		"the expiry put off":      {change(func(o *opening) { o.stamp = stamp[:8] + "_" + stamp[9:] }), false},
		"empty":                   {change(func(o *opening) { o.stamp = "" }), false},
		"nothing but zero values": {change(func(o *opening) { o.stamp = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }), false},
	} {
		if expires, ok := o.ring.OpenStamp(o.stamp, o.purpose, o.at, o.fields...); ok != o.want || ok && !expires.Equal(now.Add(time.Minute)) {
			t.Errorf("%s: %v until %v, want %v", name, ok, expires, o.want)
		}
	}
}

// FuzzOpenStamp: a stamp has one spelling.
func FuzzOpenStamp(f *testing.F) {
	k, err := flashgate.ParseKeyring(flashgate.NewKey())
	if err != nil {
		f.Fatal(err)
	}
	now := time.UnixMilli(1_700_000_000_000)
	stamp := k.Stamp("pass", now.Add(time.Minute), "field")
	f.Add(stamp)
	f.Add(stamp + "=")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if _, ok := k.OpenStamp(s, "pass", now, "field"); ok != (s == stamp) {
			t.Errorf("%q: %v", s, ok)
		}
	})
}

func BenchmarkOpenStamp(b *testing.B) {
	k, err := flashgate.ParseKeyring(flashgate.NewKey())
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	stamp := k.Stamp("pass", now.Add(time.Hour), "session")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := k.OpenStamp(stamp, "pass", now, "session"); !ok {
			b.Fatal("refused")
		}
	}
}
