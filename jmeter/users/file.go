package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"flashgate/shopapp/shop"
)

// file is where the sessions go. A file of that name is there with all of them, or as it
// was before, and only its owner can read it.
type file struct {
	out  *os.File
	name string // that out gets when it is complete; empty: out is what it is
}

// newFile finds out whether there is a place for the file before there is anybody in it.
func newFile(name string) (*file, error) {
	if name == "-" {
		return &file{out: os.Stdout}, nil
	}
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	info, err := os.Lstat(name)
	switch {
	case err == nil && !info.Mode().IsRegular(): // a pipe, a device
		out, err := os.OpenFile(name, os.O_WRONLY, 0)
		return &file{out: out}, err
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	out, err := os.CreateTemp(filepath.Dir(name), ".users-*.csv") // of mode 0600
	return &file{out: out, name: name}, err
}

func (f *file) write(crowd []shop.Member) error {
	if err := errors.Join(shop.WriteCSV(f.out, crowd), f.out.Close()); err != nil || f.name == "" {
		return err
	}
	return os.Rename(f.out.Name(), f.name)
}

// close leaves nothing half done behind.
func (f *file) close() {
	f.out.Close()
	if f.name != "" {
		os.Remove(f.out.Name())
	}
}
