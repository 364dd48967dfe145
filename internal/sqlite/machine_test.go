package sqlite_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"flashgate"
	"flashgate/internal/conformance/stockmachine"
	"flashgate/internal/sqlite"
)

// How many histories are drawn, and how long they are on average. The command line has
// the last word.
func init() {
	for name, value := range map[string]string{"rapid.checks": "40", "rapid.steps": "40"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
}

// machineSystem is the gate, the queue and the database of one file, which goes with it.
func machineSystem(path string) (stockmachine.System, error) {
	s, err := sqlite.Open(path)
	if err != nil {
		return stockmachine.System{}, err
	}
	return stockmachine.System{
		Stock: s, Database: s, Queue: s, Bound: flashgate.DefaultBound,
		Close: func() error { return errors.Join(s.Close(), os.RemoveAll(filepath.Dir(path))) },
		Reopen: func() (stockmachine.System, error) {
			if err := s.Close(); err != nil {
				return stockmachine.System{}, err
			}
			return machineSystem(path)
		},
	}, nil
}

// memoryDir is a folder in memory where the system has that: nothing here is about a
// disk that forgets, so it need not be waited for.
func memoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "flashgate-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestMachine: gate, queue and database in a file behave as maps do, whatever happens
// to their callers.
func TestMachine(t *testing.T) {
	t.Parallel()
	dir := memoryDir(t)
	stockmachine.Run(t, func() (stockmachine.System, error) {
		folder, err := os.MkdirTemp(dir, "history")
		if err != nil {
			return stockmachine.System{}, err
		}
		return machineSystem(filepath.Join(folder, "flashgate.db"))
	})
}

// TestMachineCatchesPlantedBugs: a machine that finds nothing proves nothing.
func TestMachineCatchesPlantedBugs(t *testing.T) {
	t.Parallel()
	stockmachine.CatchesPlantedBugs(t, "TestMachine", false)
}
