//go:build failpoint

package failpoint

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Enabled says whether the program was built with the tag failpoint.
const Enabled = true

var folder = os.Getenv(Variable)

// Hit does what the armed place asks for. Without the variable, or a file, nothing.
func Hit(name Name) {
	if folder == "" {
		return
	}
	path := filepath.Join(folder, string(name))
	what, err := os.ReadFile(path)
	if err != nil {
		return
	}
	if os.Rename(path, path+".hit") != nil {
		return // another goroutine was faster
	}
	signal := syscall.SIGKILL
	if strings.TrimSpace(string(what)) == "stop" {
		signal = syscall.SIGSTOP
	}
	if err := syscall.Kill(os.Getpid(), signal); err != nil {
		panic(err) // a campaign that cannot hit must not look as if it had
	}
	if signal == syscall.SIGKILL {
		select {} // nothing after the place may happen
	}
}
