package flashgate_test

import (
	"strings"
	"testing"
	"time"

	"flashgate"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// verifies reports whether b believes what a signs.
func verifies(a, b *flashgate.Keyring) bool {
	c := flashgate.Claim{Sale: "1", Session: "s", User: "u"}
	path, _ := a.Mint(c, noon.Add(time.Hour))
	_, _, err := b.Open(path, c, noon)
	return err == nil
}

func schedule(t *testing.T, text string) *flashgate.KeySchedule {
	t.Helper()
	s, err := flashgate.ParseKeySchedule(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A key that is known verifies before it signs, and one that ends does neither.
func TestKeyScheduleAt(t *testing.T) {
	t.Parallel()
	a, b := flashgate.NewKey(), flashgate.NewKey()
	onlyA, onlyB := schedule(t, a).At(noon), schedule(t, b).At(noon)
	at := func(text string, d time.Duration) *flashgate.Keyring { return schedule(t, text).At(noon.Add(d)) }
	rotated := b + ";from=2026-11-25T12:00:00Z # the new one\n" + a + ";until=2026-11-25T15:00:00+02:00\n"
	for _, c := range []struct {
		name           string
		ring           *flashgate.Keyring
		signs          *flashgate.Keyring
		takesA, takesB bool
	}{
		{"before", at(rotated, -time.Nanosecond), onlyA, true, true},
		{"from then on", at(rotated, 0), onlyB, true, true},
		{"before the end", at(rotated, time.Hour-1), onlyB, true, true},
		{"after the end", at(rotated, time.Hour), onlyB, false, true},
		{"the first signs", at(a+","+b, 0), onlyA, true, true},
		{"none has begun", at(a+";from=2027-01-01T00:00:00Z "+b+";from=2026-12-01T00:00:00Z", 0), onlyB, true, true},
		{"all but one are over", at(a+";until=2026-01-01T00:00:00Z "+b+";from=2027-01-01T00:00:00Z", 0), onlyB, false, true},
	} {
		if !verifies(c.ring, c.signs) || verifies(onlyA, c.ring) != c.takesA || verifies(onlyB, c.ring) != c.takesB {
			t.Errorf("%s: signs as wanted: %t, takes a: %t, takes b: %t", c.name, verifies(c.ring, c.signs), verifies(onlyA, c.ring), verifies(onlyB, c.ring))
		}
	}
}

func TestKeyScheduleErrors(t *testing.T) {
	t.Parallel()
	a := flashgate.NewKey()
	for text, want := range map[string]string{
		"":                                "must hold at least one key",
		"# a comment alone":               "must hold at least one key",
		"short":                           "key 1 is not",
		a + " short":                      "key 2 is not",
		a + " " + a:                       "key 2 is there twice",
		a + ";until=2027-01-01T00:00:00Z": "must hold a key without ;until=",
		a + ";":                           "what follows a key",
		a + ";soon=1":                     "what follows a key",
		a + ";from=tomorrow":              "from needs a time",
		a + ";from=0001-01-01T00:00:00Z":  "from needs a time",
		a + ";from=2027-01-01T00:00:00Z;from=2027-01-01T00:00:00Z":  "from is there twice",
		a + ";from=2027-01-01T00:00:00Z;until=2027-01-01T00:00:00Z": "key 1 ends before it begins",
	} {
		_, err := flashgate.ParseKeySchedule(text)
		if flashgate.ErrorCode(err) != flashgate.CodeInvalid || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), a) {
			t.Errorf("%q: %v, want invalid: %s", text, err, want)
		}
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	a, b, c := flashgate.NewKey(), flashgate.NewKey(), flashgate.NewKey()
	first := schedule(t, a)
	second, err := first.Rotate(b, noon, noon.Add(time.Minute), noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if !verifies(second.At(noon), first.At(noon)) || !verifies(schedule(t, b).At(noon), second.At(noon)) {
		t.Error("at once: the old key must sign, and the new one be believed")
	}
	if later := second.At(noon.Add(time.Hour)); !verifies(later, schedule(t, b).At(noon)) || verifies(first.At(noon), later) {
		t.Error("in the end: the new key must sign, and the old one be over")
	}
	if _, err := second.Rotate(c, noon, noon.Add(time.Minute), noon.Add(time.Hour)); flashgate.ErrorCode(err) != flashgate.CodeWrongState {
		t.Errorf("a second rotation before the first has begun: %v", err)
	}
	third, err := second.Rotate(c, noon.Add(2*time.Hour), noon.Add(3*time.Hour), noon.Add(4*time.Hour))
	if err != nil || len(third.Keys()) != 2 {
		t.Fatalf("%v, %d keys; want two, without the one that is over", err, len(third.Keys()))
	}
}

// FuzzParseKeySchedule checks that what is read can be written and read again, and always
// has a key that signs.
func FuzzParseKeySchedule(f *testing.F) {
	a := flashgate.NewKey()
	fraction := a + ";from=2026-01-01T00:00:00.1Z;until=2026-01-01T00:00:00.9Z " + flashgate.NewKey()
	last := a + ";until=9999-12-31T23:59:59-01:00 " + flashgate.NewKey()
	for _, text := range []string{fraction, last, a, a + ",x", a + ";from=2026-11-25T12:00:00Z", a + ";until=2026-11-25T12:00:00Z\n" + flashgate.NewKey(), "# \n" + a} {
		f.Add(text, int64(0))
	}
	f.Fuzz(func(t *testing.T, text string, shift int64) {
		s, err := flashgate.ParseKeySchedule(text)
		if err != nil {
			return
		}
		now := noon.Add(time.Duration(shift))
		if ring := s.At(now); !verifies(ring, ring) {
			t.Error("the keyring does not believe itself")
		}
		var lines []string
		for _, k := range s.Keys() {
			lines = append(lines, k.Text())
		}
		if again, err := flashgate.ParseKeySchedule(strings.Join(lines, "\n")); err != nil || !verifies(again.At(now), s.At(now)) {
			t.Errorf("%q cannot be read again: %v", lines, err)
		}
	})
}
