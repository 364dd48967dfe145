package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"flashgate"

	"github.com/gofrs/flock"
)

// Remove deletes the file and what SQLite keeps beside it. While a process consumes
// its queue it is in use: CodeWrongState. A file that is not there is no error.
func Remove(path string) error {
	const op = "sqlite.Remove"
	if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock := flock.New(path + consumerSuffix)
	free, err := lock.TryLock()
	if err != nil {
		return unavailable(op, err)
	}
	if !free {
		return flashgate.Errorf(flashgate.CodeWrongState, op, "A process is working on %s: stop it first.", path)
	}
	defer lock.Close()
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm", consumerSuffix} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return unavailable(op, errors.Join(errs...))
}
