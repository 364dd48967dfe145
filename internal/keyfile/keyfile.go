package keyfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"flashgate"
)

// Name is the file's name in the data folder.
const Name = "keys"

// LoadOrCreate gives the keys that hold now in <dir>/keys, as Open does with an empty
// setting.
func LoadOrCreate(dir string) (*flashgate.Keyring, error) {
	s, err := Open("", dir, nil)
	if err != nil {
		return nil, err
	}
	return s.Keyring(), nil
}

// create makes the folder (mode 0700) and the file (mode 0600) with one new key, unless it
// is there. Any number of callers, in this process and in others, get the same keys: a file
// with its whole content is linked into place, and whoever comes second reads what the first
// made. A file that is there is never replaced.
func create(dir, path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return write(path, flashgate.NewKey()+"\n", func(temporary string) error {
		if err := os.Link(temporary, path); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	})
}

// write puts text into a new file beside path, complete and synced and with mode 0600, and
// has it put in its place.
func write(path, text string, put func(temporary string) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := put(f.Name()); err != nil {
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
