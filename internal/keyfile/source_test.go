package keyfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/keyfile"

	"github.com/gofrs/flock"
)

// clock is a time that the test sets.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func open(t testing.TB, c *clock, setting, dir string, report func(error)) *keyfile.Source {
	t.Helper()
	s, err := keyfile.OpenAt(c.now, setting, dir, report)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func writeKeys(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A rotation with two processes that read the same file: whatever one signs the other
// believes, at every moment, and in the end nothing of the old key is believed.
func TestRotationWithoutARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "signing")
	old := flashgate.NewKey()
	writeKeys(t, path, old+"\n")
	c := &clock{t: time.Now()}
	one, two := open(t, c, "file:"+path, "", nil), open(t, c, "file:"+path, "", nil)
	retired, err := flashgate.ParseKeyring(old)
	if err != nil {
		t.Fatal(err)
	}
	// The second process looks half a second after the first.
	one.Keyring()
	c.pass(500 * time.Millisecond)
	two.Keyring()
	if _, err := keyfile.Rotate(path, c.now(), 5*time.Second, 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	began := false
	for range 40 {
		a, b := one.Keyring(), two.Keyring()
		if !opens(t, a, b) || !opens(t, b, a) {
			t.Fatalf("at %v one does not believe the other", c.now())
		}
		if !opens(t, a, retired) {
			began = true
		} else if began {
			t.Fatal("the old key signs again")
		}
		if !opens(t, retired, a) {
			t.Fatal("the old key is not believed any more")
		}
		c.pass(250 * time.Millisecond)
	}
	if !began {
		t.Error("the new key does not sign after ten seconds")
	}
	c.pass(24 * time.Hour)
	if opens(t, retired, one.Keyring()) {
		t.Error("the old key is believed after its time")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info.Mode(), err)
	}
}

// A key in the setting itself ends at its time, too.
func TestTheTextOfASettingFollowsTime(t *testing.T) {
	t.Parallel()
	c := &clock{t: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)}
	old, next := flashgate.NewKey(), flashgate.NewKey()
	s := open(t, c, next+" "+old+";until=2026-11-25T13:00:00Z", "", nil)
	ring, err := flashgate.ParseKeyring(old)
	if err != nil {
		t.Fatal(err)
	}
	if !opens(t, ring, s.Keyring()) {
		t.Error("before its end it must be believed")
	}
	if c.pass(time.Hour); opens(t, ring, s.Keyring()) {
		t.Error("after its end it is believed")
	}
}

// Whatever happens to the file, the last keys hold, and it is said once.
func TestTheFileIsDamagedLater(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := &clock{t: time.Now()}
	var said []error
	s := open(t, c, "", dir, func(err error) { said = append(said, err) })
	first, path := s.Keyring(), filepath.Join(dir, keyfile.Name)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	step := func(name string, reports int) {
		t.Helper()
		for range 3 {
			c.pass(2 * time.Second)
			if !opens(t, s.Keyring(), first) {
				t.Errorf("%s: other keys hold", name)
			}
		}
		if len(said) != reports {
			t.Errorf("%s: said %v, want %d", name, said, reports)
		}
	}
	step("nothing", 0)
	writeKeys(t, path, "half a k")
	step("damaged", 1)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	step("gone", 2)
	writeKeys(t, path, string(text))
	step("mended", 3)
	if said[0] == nil || said[1] == nil || said[2] != nil || strings.Contains(said[0].Error(), "half a k") {
		t.Errorf("said %v", said)
	}
	// Taken back by hand: another key alone, from the next second on.
	writeKeys(t, path, flashgate.NewKey())
	c.pass(time.Second)
	if opens(t, first, s.Keyring()) {
		t.Error("a key that was taken away is believed")
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	damaged := filepath.Join(folder, "damaged")
	writeKeys(t, damaged, "half a k")
	for setting, want := range map[string]flashgate.Code{
		"file:":                 flashgate.CodeInvalid,
		"short":                 flashgate.CodeInvalid,
		"file:" + damaged:       flashgate.CodeInternal,
		"file:" + folder:        flashgate.CodeUnavailable,
		"file:" + folder + "/x": flashgate.CodeUnavailable,
	} {
		if _, err := keyfile.Open(setting, folder, nil); flashgate.ErrorCode(err) != want {
			t.Errorf("%s: %v, want %s", setting, err, want)
		}
	}
	if files, err := os.ReadDir(folder); err != nil || len(files) != 1 {
		t.Errorf("a named file is never made: %v, %v", files, err)
	}
}

func TestRotateErrors(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	now := time.Now()
	rotate := func(in, keep time.Duration) flashgate.Code {
		_, err := keyfile.Rotate(path, now, in, keep)
		return flashgate.ErrorCode(err)
	}
	if code := rotate(time.Minute, 24*time.Hour); code != flashgate.CodeUnavailable {
		t.Errorf("without a file: %s", code)
	}
	writeKeys(t, path, flashgate.NewKey())
	before, _ := os.ReadFile(path)
	for name, code := range map[string]flashgate.Code{"a negative in": rotate(-1, 24*time.Hour), "a short keep": rotate(0, time.Hour)} {
		if code != flashgate.CodeInvalid {
			t.Errorf("%s: %s", name, code)
		}
	}
	held := flock.New(path + ".lock")
	if ok, err := held.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if code := rotate(0, 24*time.Hour); code != flashgate.CodeWrongState {
		t.Errorf("while another one is under way: %s", code)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file has changed: %v", err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	// Of many at once one is made: the others find its lock, or its key that waits.
	var wg sync.WaitGroup
	made := make(chan bool, 8)
	for range cap(made) {
		wg.Go(func() {
			_, err := keyfile.Rotate(path, now, time.Minute, 24*time.Hour)
			made <- err == nil
		})
	}
	wg.Wait()
	close(made)
	n := 0
	for ok := range made {
		if ok {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d rotations at once were made, want 1", n)
	}
}

func BenchmarkKeyring(b *testing.B) {
	s, err := keyfile.Open("", b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Keyring()
	}
}
