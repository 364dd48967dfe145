package keyfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"flashgate"
)

// Name is the file's name in the data folder.
const Name = "keys"

// LoadOrCreate reads the keys in <dir>/keys. When there is no such file it makes
// the folder (mode 0700) and the file (mode 0600) with one new key. Any number of
// callers, in this process and in others, get the same keys: a file with its whole
// content is linked into place, and whoever comes second reads what the first made.
//
// Operators may add keys, newest first. Errors are CodeUnavailable when the file
// cannot be read or made, and CodeInternal when it does not hold keys; a file that is
// there is never replaced.
func LoadOrCreate(dir string) (*flashgate.Keyring, error) {
	const op = "keyfile.LoadOrCreate"
	path := filepath.Join(dir, Name)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = create(dir, path); err == nil {
			text, err = os.ReadFile(path)
		}
	}
	if err != nil {
		return nil, &flashgate.Error{Code: flashgate.CodeUnavailable, Op: op, Message: "The signing keys cannot be read.",
			Err: fmt.Errorf("%w (set keys, or let this user write the data folder)", err)}
	}
	ring, err := flashgate.ParseKeyring(string(text))
	if err != nil {
		return nil, &flashgate.Error{Code: flashgate.CodeInternal, Op: op,
			Err: fmt.Errorf("%s: %w", path, err)}
	}
	return ring, nil
}

// create links a complete and synced file to path. That another one was there
// first is no error.
func create(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, Name+".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(flashgate.NewKey() + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(dir)
}

// syncDir makes the new name durable: orders signed with a key that a power cut
// takes away could not be polled any more.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
