package containers_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var variable = regexp.MustCompile(`(?:^|[^$])\$\{([A-Z_]+)`)

// root is the context of the image's build.
const root = "../.."

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// instruction is one line of the Dockerfile.
type instruction struct {
	stage int // 1 is the first FROM
	verb  string
	args  []string
}

// instructions reads the form that our Dockerfile has: an instruction a line.
func instructions(t *testing.T) []instruction {
	t.Helper()
	known := []string{"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "CMD"}
	var out []instruction
	stage := 0
	for line := range strings.Lines(read(t, "../Dockerfile")) {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if !slices.Contains(known, f[0]) || strings.HasSuffix(f[len(f)-1], `\`) {
			t.Fatalf("this test cannot read %q", line)
		}
		if f[0] == "FROM" {
			stage++
		}
		out = append(out, instruction{stage: stage, verb: f[0], args: f[1:]})
	}
	if stage != 2 {
		t.Fatalf("%d stages, want 2: one builds, one runs", stage)
	}
	return out
}

func TestSourcesExist(t *testing.T) {
	t.Parallel()
	n := 0
	for _, in := range instructions(t) {
		if in.verb != "COPY" || strings.HasPrefix(in.args[0], "--from=build") {
			continue
		}
		for _, source := range in.args[:len(in.args)-1] {
			n++
			if _, err := os.Stat(filepath.Join(root, source)); err != nil {
				t.Errorf("COPY %s: %v", source, err)
			}
		}
	}
	if n == 0 {
		t.Error("nothing is copied")
	}
}

// built maps each program of the image to its package.
func built(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, in := range instructions(t) {
		if in.verb != "RUN" || len(in.args) < 3 || in.args[0] != "go" || in.args[1] != "build" {
			continue
		}
		i := slices.Index(in.args, "-o")
		if i < 0 {
			t.Fatalf("no -o in %v", in.args)
		}
		out[filepath.Base(in.args[i+1])] = in.args[len(in.args)-1]
	}
	return out
}

func TestProgramsBuild(t *testing.T) {
	t.Parallel()
	programs := built(t)
	if len(programs) == 0 {
		t.Fatal("no program is built")
	}
	dir := t.TempDir()
	for name, pkg := range programs {
		build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, name), pkg)
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			t.Errorf("go build %s: %v\n%s", pkg, err, out)
			continue
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode()&0o111 == 0 {
			t.Errorf("%s is no program: %v", pkg, err)
		}
		// Compiling everything twice takes minutes; that every package has files without
		// C is seen at once.
		list := exec.CommandContext(t.Context(), "go", "list", "-deps", pkg)
		list.Dir, list.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
		if out, err := list.CombinedOutput(); err != nil {
			t.Errorf("without C: go list -deps %s: %v\n%s", pkg, err, out)
		}
	}
	for name, s := range project(t).Services {
		if s.Build != nil && programs[s.Command[0]] == "" {
			t.Errorf("%s runs %v, the image has %v", name, s.Command, programs)
		}
	}
}

func TestImage(t *testing.T) {
	t.Parallel()
	user := ""
	for _, in := range instructions(t) {
		switch {
		case in.verb == "FROM" && in.stage == 1:
			version, _, _ := strings.Cut(strings.TrimPrefix(in.args[0], "golang:"), "-")
			if !strings.Contains(read(t, filepath.Join(root, "go.mod")), "\ngo "+version+".") {
				t.Errorf("the image builds with Go %s, go.mod says otherwise", version)
			}
		case in.verb == "USER" && in.stage == 2:
			user = in.args[0]
		}
	}
	if user == "" || strings.HasPrefix(user, "0") || strings.HasPrefix(user, "root") {
		t.Errorf("it runs as %q", user)
	}
	for _, secret := range []string{"data", "deploy/.env", ".git"} {
		if !strings.Contains(read(t, "../Dockerfile.dockerignore"), "\n"+secret+"\n") {
			t.Errorf("%s goes to the builder", secret)
		}
	}
}
