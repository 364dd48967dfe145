//go:build unix

package keyfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/keyfile"
)

// Whoever rotates, the file stays its owner's, and a link to it a link.
func TestRotateKeepsTheOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, link := filepath.Join(dir, "keys"), filepath.Join(dir, "link")
	writeKeys(t, path, flashgate.NewKey())
	if err := errors.Join(os.Chmod(path, 0o640), os.Symlink("keys", link)); err != nil {
		t.Fatal(err)
	}
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = 12345, 23456
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := keyfile.Rotate(link, time.Now(), 0, 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != 0o640 {
		t.Fatalf("%v, %v; want -rw-r-----", info.Mode(), err)
	}
	if s := info.Sys().(*syscall.Stat_t); int(s.Uid) != uid || int(s.Gid) != gid {
		t.Errorf("it belongs to %d and %d now", s.Uid, s.Gid)
	}
	if l, err := os.Lstat(link); err != nil || l.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", l.Mode(), err)
	}
}
