package servers

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

const (
	folderPattern = "flashgate-servers-"
	lockName      = "owner.lock"
)

// folder is where a server keeps its data and its log.
type folder struct {
	path  string
	owner *flock.Flock // held as long as the process lives; nil when the caller named the folder
}

// openFolder makes the folder dir, or a temporary one when dir is empty. A temporary
// folder is locked, so that a later process can tell that its owner has died.
func openFolder(dir, name string) (folder, error) {
	if dir != "" {
		path, err := filepath.Abs(dir)
		if err != nil {
			return folder{}, err
		}
		return folder{path: path}, os.MkdirAll(path, 0o700)
	}
	removeOrphans()
	for range 10 {
		path, err := os.MkdirTemp("", folderPattern+name+"-")
		if err != nil {
			return folder{}, err
		}
		owner := flock.New(filepath.Join(path, lockName))
		got, err := owner.TryLock()
		if err == nil && got {
			// Who looked for orphans may have had the lock between the making of the file
			// and this, and then the folder is gone.
			if _, err = os.Stat(owner.Path()); err == nil {
				return folder{path: path, owner: owner}, nil
			}
		}
		_ = owner.Close() // another was faster: take a new one
	}
	return folder{}, fmt.Errorf("servers: no temporary folder in %s could be locked", os.TempDir())
}

// remove deletes a temporary folder. One that the caller named stays.
func (f folder) remove() error {
	if f.owner == nil {
		return nil
	}
	err := os.RemoveAll(f.path)
	if e := f.owner.Close(); err == nil {
		err = e
	}
	return err
}

// removeOrphans deletes temporary folders whose owner was killed. What cannot be
// removed is left alone: it is no reason not to start a server.
func removeOrphans() {
	locks, err := filepath.Glob(filepath.Join(os.TempDir(), folderPattern+"*", lockName))
	if err != nil {
		return
	}
	for _, path := range locks {
		// Opened without creating it: a folder that is just being removed must not come back.
		lock := flock.New(path, flock.SetFlag(os.O_RDWR))
		if got, err := lock.TryLock(); err == nil && got {
			_ = os.RemoveAll(filepath.Dir(path))
		}
		_ = lock.Close()
	}
}
