//go:build failpoint

package failpoint

import (
	"os"
	"os/signal"
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
	if strings.TrimSpace(string(what)) == "stop" {
		// The signal meets any thread of the process, and this one would run on for a
		// moment.
		goesOn := make(chan os.Signal, 1)
		signal.Notify(goesOn, syscall.SIGCONT)
		defer signal.Stop(goesOn)
		send(syscall.SIGSTOP)
		<-goesOn
		return
	}
	send(syscall.SIGKILL)
	select {} // nothing after the place may happen
}

func send(s syscall.Signal) {
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		panic(err) // a campaign that cannot hit must not look as if it had
	}
}
