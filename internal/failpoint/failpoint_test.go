package failpoint_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"flashgate/internal/failpoint"
)

// build builds the program in testdata, which passes one place and says so.
func build(t *testing.T, args ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	out, err := exec.CommandContext(t.Context(), "go", append(append([]string{"build", "-o", program}, args...), "./testdata/child")...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

func arm(t *testing.T, what string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, string(failpoint.Reserved)), []byte(what), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

func hit(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, string(failpoint.Reserved)+".hit"))
	return err == nil
}

func command(t *testing.T, program, folder string) *exec.Cmd {
	c := exec.CommandContext(t.Context(), program)
	c.Env = []string{failpoint.Variable + "=" + folder}
	return c
}

// Without the tag an armed place is passed.
func TestWithoutTheTag(t *testing.T) {
	t.Parallel()
	folder := arm(t, "kill")
	out, err := command(t, build(t), folder).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "passed false" || hit(folder) {
		t.Errorf("%v, %s, hit: %t", err, out, hit(folder))
	}
}

func TestWithTheTag(t *testing.T) {
	t.Parallel()
	program := build(t, "-tags", "failpoint")
	out, err := command(t, program, t.TempDir()).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "passed true" {
		t.Errorf("not armed: %v, %s", err, out)
	}

	folder := arm(t, "kill")
	out, err = command(t, program, folder).CombinedOutput()
	ended, ok := errors.AsType[*exec.ExitError](err)
	if !ok || ended.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL || len(out) > 0 || !hit(folder) {
		t.Errorf("kill: %v, %s, hit: %t", err, out, hit(folder))
	}
	if out, err = command(t, program, folder).CombinedOutput(); err != nil {
		t.Errorf("it hits once only: %v, %s", err, out)
	}

	folder = arm(t, "stop")
	c := command(t, program, folder)
	said, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	c.Stdout = said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(c.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Errorf("stop: %v, %v", err, status)
	}
	if text, err := os.ReadFile(said.Name()); err != nil || len(text) > 0 {
		t.Errorf("stopped, it has said %q, %v", text, err)
	}
	if err := c.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	err = c.Wait()
	text, readErr := os.ReadFile(said.Name())
	if err := errors.Join(err, readErr); err != nil || strings.TrimSpace(string(text)) != "passed true" || !hit(folder) {
		t.Errorf("after SIGCONT: %v, %s, hit: %t", err, text, hit(folder))
	}
}
