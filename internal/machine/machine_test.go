package machine_test

import (
	"os/exec"
	"runtime"
	"testing"

	"flashgate/internal/machine"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	got := machine.MemoryMiB()
	if runtime.GOOS == "linux" && got < 64 || runtime.GOOS != "linux" && got != 0 {
		t.Errorf("on %s: %d MiB", runtime.GOOS, got)
	}
}

// A child has the limit that was raised, and not the one that its parent began with.
func TestChildrenMayOpenMoreFiles(t *testing.T) {
	if err := machine.RaiseFileLimit(); err != nil {
		t.Fatal(err)
	}
	soft, err := exec.Command("sh", "-c", "ulimit -Sn").Output()
	if err != nil {
		t.Fatal(err)
	}
	hard, err := exec.Command("sh", "-c", "ulimit -Hn").Output()
	if err != nil {
		t.Fatal(err)
	}
	if string(soft) != string(hard) {
		t.Errorf("a child may open %sfiles, of %s", soft, hard)
	}
}
