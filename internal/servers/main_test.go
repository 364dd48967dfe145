package servers_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(orphanEnv) != "" {
		orphan()
	}
	goleak.VerifyTestMain(serverstest.Closing(m))
}

// private is what every server of this package can do.
type private interface {
	Start() error
	Stop() error
	Kill() error
	Pause() error
	Resume() error
	Close() error
	Dir() string
	Processes() []servers.Process
}

// checkClosed closes the server and looks for what it may have left: its processes,
// others that were started in its folder, and the folder.
func checkClosed(t *testing.T, s private) {
	t.Helper()
	ids, dir := s.Processes(), s.Dir()
	if len(ids) == 0 {
		t.Error("no process before Close")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for _, id := range ids {
		if id.Alive() {
			t.Errorf("%s (pid %d) runs after Close", id.Name, id.PID)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder is there after Close: %v", err)
	}
	eventually(t, "no process of "+dir, func() error { return noProcessOf(dir) })
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// noProcessOf looks for the folder in the command line and the working directory of
// every process: helpers that a server started are found too.
func noProcessOf(dir string) error {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, file := range lines {
		line, err := os.ReadFile(file)
		if err != nil {
			continue // ended meanwhile
		}
		cwd, _ := os.Readlink(filepath.Join(filepath.Dir(file), "cwd"))
		if bytes.Contains(line, []byte(dir)) || strings.HasPrefix(cwd, dir) {
			return &leftError{file, string(bytes.ReplaceAll(line, []byte{0}, []byte(" ")))}
		}
	}
	return nil
}

type leftError struct{ file, line string }

func (e *leftError) Error() string { return e.file + ": " + e.line }
