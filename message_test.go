package flashgate_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"flashgate"
)

var update = flag.Bool("update", false, "write the golden files anew")

// An order id that never changes, for golden files. Its MAC is of no known key.
const fixedOrder = "1.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIj"

func fixedMessage(n int) flashgate.Message {
	m := flashgate.NewMessage("1", 7)
	for i := range n {
		id := []byte(fixedOrder)
		copy(id[2:], fmt.Sprintf("%06d", i))
		m.Reservations = append(m.Reservations, flashgate.Reservation{
			Order: flashgate.OrderID(id), User: "u<&>1", Units: 1 + i%3, At: 1790000000000,
		})
	}
	return m
}

func TestMessageGolden(t *testing.T) {
	t.Parallel()
	fence := flashgate.NewMessage("1", 8)
	fence.Fence = true
	for name, m := range map[string]flashgate.Message{
		"one": fixedMessage(1), "three": fixedMessage(3), "fence": fence,
	} {
		got, err := flashgate.EncodeMessage(m)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		file := filepath.Join("testdata", "message_"+name+".json")
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: the form on the wire has changed:\n got %s\nwant %s\nA change needs a new version.", name, got, want)
		}
		back, err := flashgate.DecodeMessage(want)
		if err != nil || !reflect.DeepEqual(back, m) {
			t.Errorf("%s: decoded %+v, %v; want %+v", name, back, err, m)
		}
	}
}

func TestDecodeMessageIsStrict(t *testing.T) {
	t.Parallel()
	good, err := flashgate.EncodeMessage(fixedMessage(2))
	if err != nil {
		t.Fatal(err)
	}
	edit := func(old, new string) string {
		s := strings.Replace(string(good), old, new, 1)
		if s == string(good) {
			t.Fatalf("%q is not in %s", old, good)
		}
		return s
	}
	for name, body := range map[string]string{
		"empty":               "",
		"not JSON":            "hello",
		"null":                "null",
		"white space":         edit(`"v":1`, `"v": 1`),
		"trailing newline":    string(good) + "\n",
		"two messages":        string(good) + string(good),
		"unknown member":      edit(`"v":1`, `"v":1,"x":1`),
		"repeated member":     edit(`"v":1`, `"v":1,"v":1`),
		"other case":          edit(`"sale"`, `"Sale"`),
		"other order":         edit(`"v":1,"sale":"1"`, `"sale":"1","v":1`),
		"number form":         edit(`"epoch":7`, `"epoch":7e0`),
		"next version":        edit(`"v":1`, `"v":2`),
		"no version":          edit(`"v":1,`, ``),
		"bad sale":            edit(`"sale":"1"`, `"sale":"a b"`),
		"another sale":        edit(`"sale":"1"`, `"sale":"2"`),
		"zero units":          edit(`"units":1`, `"units":0`),
		"too many units":      edit(`"units":1`, `"units":1001`),
		"negative time":       edit(`"at":1`, `"at":-1`),
		"escaped differently": edit(`u<`, `u\u003c`),
		"fence with orders":   edit(`]}`, `],"fence":true}`),
		"no reservations":     `{"v":1,"sale":"1","epoch":7}`,
		"same order twice":    edit("000001", "000000"),
	} {
		if _, err := flashgate.DecodeMessage([]byte(body)); flashgate.ErrorCode(err) != flashgate.CodeInvalid {
			t.Errorf("%s: %v\n%s", name, err, body)
		}
	}
}

// What a gateway writes is read as fast as possible, and as strictly: each byte of a
// message is changed, taken out and doubled, and what is then read encodes to the same
// bytes or is refused.
func TestDecodeMessageByteByByte(t *testing.T) {
	t.Parallel()
	good, err := flashgate.EncodeMessage(fixedMessage(2))
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	try := func(body []byte) {
		m, err := flashgate.DecodeMessage(body)
		if err != nil {
			return
		}
		read++
		if again, err := flashgate.EncodeMessage(m); err != nil || !bytes.Equal(again, body) {
			t.Errorf("%q is read, and encodes to %q, %v", body, again, err)
		}
	}
	for i := range good {
		try(slices.Delete(bytes.Clone(good), i, i+1))
		try(slices.Insert(bytes.Clone(good), i, good[i]))
		for _, c := range []byte("0-+. \n\"\\/,:}]x<\x00\x7f\x80\xff") {
			changed := bytes.Clone(good)
			changed[i] = c
			try(changed)
			try(slices.Insert(bytes.Clone(good), i, c))
		}
		try(good[:i])
	}
	if read < 100 {
		t.Errorf("only %d of them were read: this tries nothing", read)
	}
}

func TestMessageBounds(t *testing.T) {
	t.Parallel()
	full := fixedMessage(flashgate.MaxMessageReservations)
	for i := range full.Reservations {
		full.Reservations[i].User = flashgate.UserID(strings.Repeat("u", 128))
	}
	body, err := flashgate.EncodeMessage(full)
	if err != nil {
		t.Fatalf("the largest allowed message does not fit: %v", err)
	}
	if _, err := flashgate.DecodeMessage(body); err != nil {
		t.Error(err)
	}
	if _, err := flashgate.EncodeMessage(fixedMessage(flashgate.MaxMessageReservations + 1)); flashgate.ErrorCode(err) != flashgate.CodeInvalid {
		t.Errorf("one reservation too many: %v", err)
	}
	if _, err := flashgate.DecodeMessage(make([]byte, flashgate.MaxMessageBytes+1)); flashgate.ErrorCode(err) != flashgate.CodeTooLarge {
		t.Errorf("one byte too many: %v", err)
	}
}

func FuzzDecodeMessage(f *testing.F) {
	for _, n := range []int{1, 3} {
		body, err := flashgate.EncodeMessage(fixedMessage(n))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte(`{"v":1,"sale":"1","epoch":8,"fence":true}`))
	f.Add([]byte(`{"v":1,"sale":"1","epoch":8,"reservations":[{"order":"` + fixedOrder + `","user":"ann","units":1,"at":1},{"order":1}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := flashgate.DecodeMessage(body)
		split, bad, serr := flashgate.DecodeSplit(body)
		if err == nil && (serr != nil || len(bad) > 0) {
			t.Errorf("DecodeSplit refuses what DecodeMessage reads: %+v, %v", bad, serr)
		}
		if serr == nil && (split.Fence || len(split.Reservations) > 0) {
			if _, err := flashgate.EncodeMessage(split); err != nil {
				t.Errorf("DecodeSplit lets pass what is not valid: %v", err)
			}
		}
		if serr == nil && !split.Fence && len(split.Reservations)+len(bad) == 0 {
			t.Errorf("DecodeSplit reads nothing at all, and without an error, from %q", body)
		}
		if err != nil {
			return
		}
		again, err := flashgate.EncodeMessage(m)
		if err != nil || !bytes.Equal(again, body) {
			t.Errorf("decoded, but encodes to %s, %v", again, err)
		}
	})
}

func TestPhaseAt(t *testing.T) {
	t.Parallel()
	starts := time.Unix(1000, 0)
	ends := starts.Add(time.Hour)
	for at, want := range map[time.Time]flashgate.Phase{
		starts.Add(-1): flashgate.PhaseUpcoming, starts: flashgate.PhaseOpen, ends.Add(-1): flashgate.PhaseOpen, ends: flashgate.PhaseEnded,
	} {
		if got := flashgate.PhaseAt(at, starts, ends); got != want {
			t.Errorf("at %v: %s, want %s", at, got, want)
		}
	}
}
