//go:build !unix

package keyfile

import (
	"io/fs"
	"os"
)

// alike gives a file the mode of another one.
func alike(path string, as fs.FileInfo) error { return os.Chmod(path, as.Mode().Perm()) }
