//go:build unix

package keyfile

import (
	"io/fs"
	"os"
	"syscall"
)

// alike gives a file the mode and the owner of another one: an administrator rotates keys
// that a gateway reads as another user.
func alike(path string, as fs.FileInfo) error {
	if err := os.Chmod(path, as.Mode().Perm()); err != nil {
		return err
	}
	if s, ok := as.Sys().(*syscall.Stat_t); ok {
		return os.Chown(path, int(s.Uid), int(s.Gid))
	}
	return nil
}
