package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// programs are the project's own that a run needs, in bin/jmeter, so that they are
// linked again only after a change.
type programs struct {
	dir    string
	root   string
	golang string
}

// build builds programs by their folders.
func (p *programs) build(ctx context.Context, folders ...string) error {
	if _, err := exec.LookPath(p.golang); err != nil {
		return fmt.Errorf("there is no %s: Go is needed for users, demo and verdict", p.golang)
	}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return err
	}
	// Two runs that begin at once must not start what the other still writes.
	lock := flock.New(p.path(".lock"))
	if err := lock.Lock(); err != nil {
		return err
	}
	defer lock.Unlock()
	cmd := exec.Command(p.golang, append([]string{"build", "-o", p.dir + string(filepath.Separator)}, folders...)...)
	cmd.Dir = p.root
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := wait(ctx, cmd); err != nil {
		return fmt.Errorf("%s does not build: %w\n%s", strings.Join(folders, ", "), err, said.String())
	}
	return nil
}

func (p *programs) path(name string) string { return filepath.Join(p.dir, name) }

// environment is this process' with other backends. What the environment is set up for
// must not lead a program to a site that the run does not mean.
func environment(values ...string) []string {
	var env []string
	for _, e := range os.Environ() {
		switch name, _, _ := strings.Cut(e, "="); name {
		case "FLASHGATE_DATA", "MYSQL_DSN", "REDIS_URL", "AMQP_URL", "FLASHGATE_KEYS", "FLASHGATE_LOADTEST_KEY":
		default:
			env = append(env, e)
		}
	}
	for _, v := range values {
		if !strings.HasSuffix(v, "=") {
			env = append(env, v)
		}
	}
	return env
}
