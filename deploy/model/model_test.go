// Package model_test sees to it that the model of the protocol can still be checked,
// and that the check can fail. make model runs all of it; README.md says what it is.
package model_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The smallest configuration holds and a mutant is refuted. Without Spin this fails.
func TestModel(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "./run.sh", "--quick").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"model: 1 configurations hold", "mutants: 1 refuted"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
}

// A promise that breaks, and a mutant that is not refuted, are failures: here a mutant
// stands where the protocol should, and the protocol where the mutant should.
func TestTheCheckFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ add, run, want string }{
		"broken promise":     {"#define M_ACK_BEFORE_COMMIT\n", "smallest", "VIOLATED: P"},
		"not refuted mutant": {"#undef M_NO_FENCE\n", "no-fence", "NOT REFUTED by P2_granted_is_honoured"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			if err := os.CopyFS(folder, os.DirFS(".")); err != nil {
				t.Fatal(err)
			}
			state := filepath.Join(folder, "state.pml")
			text, err := os.ReadFile(state)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(state, append([]byte(c.add), text...), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), filepath.Join(folder, "run.sh"), "--only", c.run).CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.want) || !strings.Contains(string(out), "failed: "+c.run) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// Without Spin it says what to install.
func TestWithoutSpin(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	for _, tool := range []string{"sh", "dirname"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(bin, tool)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "./run.sh", "--quick")
	cmd.Env = []string{"PATH=" + bin}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "apt-get install") || !strings.Contains(string(out), "spin gcc") {
		t.Errorf("%v\n%s", err, out)
	}
}
