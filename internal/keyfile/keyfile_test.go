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
)

var claim = flashgate.Claim{Sale: "1", Session: "s", User: "u"}

// opens reports whether b verifies what a signs.
func opens(t *testing.T, a, b *flashgate.Keyring) bool {
	t.Helper()
	path, _ := a.Mint(claim, time.Now().Add(time.Hour))
	_, _, err := b.Open(path, claim, time.Now())
	return err == nil
}

func TestAllCallersGetTheSameKeys(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "there")
	rings := make([]*flashgate.Keyring, 16)
	var wg sync.WaitGroup
	for i := range rings {
		wg.Go(func() {
			var err error
			if rings[i], err = keyfile.LoadOrCreate(dir); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for i, r := range rings {
		if !opens(t, rings[0], r) {
			t.Errorf("caller %d has other keys than caller 0", i)
		}
	}
	info, err := os.Stat(filepath.Join(dir, keyfile.Name))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v; want mode 0600", info.Mode(), err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("the folder holds %v, %v; want the keys alone", files, err)
	}
}

func TestRotationByHand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old, err := keyfile.LoadOrCreate(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, keyfile.Name)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append([]byte(flashgate.NewKey()+"\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	rotated, err := keyfile.LoadOrCreate(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !opens(t, old, rotated) {
		t.Error("the old key does not verify any more")
	}
	if opens(t, rotated, old) {
		t.Error("the new key does not sign")
	}
}

func TestADamagedFileIsNeverReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, keyfile.Name)
	if err := os.WriteFile(path, []byte("half a k"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := keyfile.LoadOrCreate(dir)
	if flashgate.ErrorCode(err) != flashgate.CodeInternal || !strings.Contains(err.Error(), path) {
		t.Errorf("LoadOrCreate = %v, want internal with the path", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "half a k" {
		t.Errorf("the file is now %q", text)
	}
}

func TestAFolderThatCannotBeMade(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keyfile.LoadOrCreate(filepath.Join(file, "data")); flashgate.ErrorCode(err) != flashgate.CodeUnavailable {
		t.Errorf("LoadOrCreate = %v, want unavailable", err)
	}
}
