package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// testTimeout bounds one run of tests. A mutant may hang its site; the scenarios bound
// what they wait for, so this is for what nobody has thought of.
const testTimeout = "8m"

// tree is the copy that is mutated. All mutants share it, so that what a patch does not
// touch is built once.
type tree struct{ dir string }

// copyTree copies what Git knows of the project, and what it would take.
func copyTree(ctx context.Context) (t tree, err error) {
	list := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return t, fmt.Errorf("git ls-files: %w", err)
	}
	if t.dir, err = os.MkdirTemp("", "flashgate-mutants"); err != nil {
		return t, err
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if err := t.add(name); err != nil {
			return t, errors.Join(err, os.RemoveAll(t.dir))
		}
	}
	return t, nil
}

// add copies one file; one that was deleted and not committed is passed over.
func (t tree) add(name string) error {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	to := filepath.Join(t.dir, name)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, text, info.Mode().Perm())
}

// try applies a mutant, runs its test, and takes the mutant back.
func (t tree) try(ctx context.Context, m mutant) (v verdict, err error) {
	if err := t.apply(ctx, m); err != nil {
		return v, err
	}
	out, err := t.test(ctx, m.pkg, m.test)
	if ctx.Err() != nil {
		return v, ctx.Err()
	}
	return m.judge(out, err != nil), t.apply(ctx, m, "-R")
}

// apply applies a patch. The copy is in no repository, whatever its folder is in.
func (t tree) apply(ctx context.Context, m mutant, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", append(append([]string{"apply"}, args...), m.path)...)
	cmd.Dir = t.dir
	cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(t.dir))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git apply: %w: %s", err, out)
	}
	return nil
}

// test runs tests of one package. What they have started ends with them.
func (t tree) test(ctx context.Context, pkg string, tests ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-timeout", testTimeout, "-run", pattern(tests), pkg)
	cmd.Dir = t.dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err := cmd.Run()
	return out.String(), err
}
