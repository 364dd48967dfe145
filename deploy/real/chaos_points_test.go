package main_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"flashgate/internal/failpoint"
	"flashgate/internal/fleet"
)

// withFailpoints builds the programs with failpoints, once, and returns their folder.
func withFailpoints(t *testing.T) string {
	t.Helper()
	must(t, builtWithFailpoints())
	return filepath.Join(bin, "failpoints")
}

var builtWithFailpoints = sync.OnceValue(func() error {
	return build(filepath.Join(bin, "failpoints"), "-tags", "failpoint")
})

// pointsOf makes the folder of a process' failpoints and returns its setting.
func pointsOf(t *testing.T, root, process string) string {
	t.Helper()
	folder := pointFolder(root, process)
	must(t, os.MkdirAll(folder, 0o700))
	return failpoint.Variable + "=" + folder
}

func pointFolder(root, process string) string {
	return filepath.Join(root, strings.ReplaceAll(process, " ", "-"))
}

// What an armed failpoint does.
const (
	pointKills = "kill"
	pointStops = "stop"
)

// arm makes the next of these processes that comes to a place die there, or stop.
func (s *site) arm(t *testing.T, point failpoint.Name, what string, ps ...*fleet.Process) {
	t.Helper()
	for _, p := range ps {
		path := filepath.Join(pointFolder(s.points, p.Name), string(point))
		if err := os.Remove(path + ".hit"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		must(t, os.WriteFile(path, []byte(what), 0o600))
	}
}

// struck returns the first of the processes that has come to the place, or nil.
func (s *site) struck(point failpoint.Name, ps ...*fleet.Process) *fleet.Process {
	for _, p := range ps {
		if _, err := os.Stat(filepath.Join(pointFolder(s.points, p.Name), string(point)+".hit")); err == nil {
			return p
		}
	}
	return nil
}

// disarm takes back what nobody has come to. It returns every process that was struck.
func (s *site) disarm(t *testing.T, point failpoint.Name, ps ...*fleet.Process) (struck []*fleet.Process) {
	t.Helper()
	for _, p := range ps {
		err := os.Remove(filepath.Join(pointFolder(s.points, p.Name), string(point)))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			struck = append(struck, p)
		case err != nil:
			t.Fatal(err)
		}
	}
	return struck
}
