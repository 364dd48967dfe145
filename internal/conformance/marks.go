package conformance

import (
	"testing"
	"time"

	"flashgate"
)

// MarksFixture is what Marks runs on: two views of one store.
type MarksFixture struct{ Stores [2]flashgate.Marks }

// Marks is the suite of flashgate.Marks. What others have marked in the same store is
// left alone.
func Marks(t *testing.T, open func(t *testing.T) MarksFixture) {
	run(t, open, []testCase[MarksFixture]{
		{name: "Write", run: marksWrite},
		{name: "Replace", run: marksReplace},
		{name: "Delete", run: marksDelete},
		{name: "End", run: marksEnd},
		{name: "BadInput", run: marksBadInput},
	})
}

func mark(t testing.TB, s flashgate.Marks, m flashgate.Mark) {
	t.Helper()
	if err := s.SetMark(t.Context(), m); err != nil {
		t.Fatalf("SetMark: %v", err)
	}
}

// marked finds the mark of a key.
func marked(t testing.TB, s flashgate.Marks, key string) (found flashgate.Mark, ok bool) {
	t.Helper()
	all, err := s.AllMarks(t.Context())
	if err != nil {
		t.Fatalf("AllMarks: %v", err)
	}
	for _, m := range all {
		if m.Key == key {
			found, ok = m, true
		}
	}
	return found, ok
}

func marksWrite(t *testing.T, f MarksFixture) {
	for _, m := range []flashgate.Mark{
		{Key: unique(), Ban: true, Reason: "too many", Until: time.Now().Add(time.Hour).Truncate(time.Millisecond)},
		{Key: unique() + " ä{}:\x00", Until: time.Now().Add(365 * 24 * time.Hour).Truncate(time.Millisecond)},
	} {
		mark(t, f.Stores[0], m)
		if got, ok := marked(t, f.Stores[1], m.Key); !ok || got.Ban != m.Ban || got.Reason != m.Reason || !got.Until.Equal(m.Until) {
			t.Errorf("got %+v, %t, want %+v", got, ok, m)
		}
	}
}

func marksReplace(t *testing.T, f MarksFixture) {
	key := unique()
	mark(t, f.Stores[0], flashgate.Mark{Key: key, Ban: true, Until: time.Now().Add(time.Hour)})
	mark(t, f.Stores[1], flashgate.Mark{Key: key, Until: time.Now().Add(time.Minute)})
	if m, ok := marked(t, f.Stores[0], key); !ok || m.Ban {
		t.Errorf("the older mark stays: %+v", m)
	}
}

func marksDelete(t *testing.T, f MarksFixture) {
	key, other := unique(), unique()
	mark(t, f.Stores[0], flashgate.Mark{Key: key, Ban: true, Until: time.Now().Add(time.Hour)})
	mark(t, f.Stores[0], flashgate.Mark{Key: other, Ban: true, Until: time.Now().Add(time.Hour)})
	for range 2 {
		if err := f.Stores[1].DeleteMark(t.Context(), key); err != nil {
			t.Fatalf("DeleteMark: %v", err)
		}
	}
	if _, ok := marked(t, f.Stores[0], key); ok {
		t.Error("it is still there")
	}
	if _, ok := marked(t, f.Stores[0], other); !ok {
		t.Error("another one has gone too")
	}
}

func marksEnd(t *testing.T, f MarksFixture) {
	key, other := unique(), unique()
	mark(t, f.Stores[0], flashgate.Mark{Key: other, Ban: true, Until: time.Now().Add(time.Hour)})
	mark(t, f.Stores[0], flashgate.Mark{Key: key, Ban: true, Until: time.Now().Add(300 * time.Millisecond)})
	eventually(t, "the mark ends", func() bool {
		_, ok := marked(t, f.Stores[1], key)
		return !ok
	})
	if _, ok := marked(t, f.Stores[0], other); !ok {
		t.Error("another one has ended with it")
	}
}

func marksBadInput(t *testing.T, f MarksFixture) {
	for name, m := range map[string]flashgate.Mark{
		"no key":                 {Until: time.Now().Add(time.Hour)},
		"over already":           {Key: unique(), Until: time.Now().Add(-time.Second)},
		"for longer than a year": {Key: unique(), Until: time.Now().Add(367 * 24 * time.Hour)},
		"a long key":             {Key: string(make([]byte, 1025)), Until: time.Now().Add(time.Hour)},
	} {
		if err := f.Stores[0].SetMark(t.Context(), m); flashgate.ErrorCode(err) != flashgate.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
