package flashgate_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

type listed struct {
	ImportPath string
	Name       string
	Standard   bool
	Imports    []string
	Deps       []string
}

func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Name,Standard,Imports,Deps"}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, errs.String())
	}
	var ps []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return ps
		} else if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
}

const caddyPath = "github.com/caddyserver/caddy/v2"

var adapters = []string{"memory", "sqlite", "redis", "rabbitmq", "mysql"}

// layer places a package: imports go to lower numbers only, or stay within a group.
func layer(path string) (group string, level int) {
	rel := strings.TrimPrefix(strings.TrimPrefix(path, "flashgate"), "/")
	first, rest, _ := strings.Cut(rel, "/")
	switch {
	case rel == "":
		return "domain", 0
	case rel == "internal/failpoint": // names of places, which everything may have
		return "failpoint", 0
	case first == "internal" && slices.Contains(adapters, rest):
		return "adapter " + rest, 2
	case first == "internal" && rest == "conformance":
		return "conformance", 2
	case first == "internal":
		engine, _, _ := strings.Cut(rest, "/") // a package and its packages for tests are one
		return "engine " + engine, 1
	case first == "caddymodule", first == "shopapp", first == "orderworker":
		return first, 3
	default:
		return rel, 4 // deploy, bench: mains
	}
}

// Imports run one way: domain ← engines and adapters ← caddymodule, shopapp,
// orderworker ← mains.
func TestDirectionOfImports(t *testing.T) {
	t.Parallel()
	for _, p := range goList(t, "./...") {
		group, level := layer(p.ImportPath)
		for _, imp := range p.Imports {
			if level <= 2 && strings.HasPrefix(imp, caddyPath) || group == "shopapp" && strings.HasPrefix(imp, caddyPath) || group == "orderworker" && strings.HasPrefix(imp, caddyPath) {
				t.Errorf("%s imports Caddy (%s)", p.ImportPath, imp)
			}
			if level == 0 && strings.Contains(strings.Split(imp, "/")[0], ".") {
				t.Errorf("the domain imports %s: standard library only", imp)
			}
			if imp != "flashgate" && !strings.HasPrefix(imp, "flashgate/") {
				continue
			}
			to, toLevel := layer(imp)
			if to != group && toLevel >= level {
				t.Errorf("%s (%s) must not import %s (%s)", p.ImportPath, group, imp, to)
			}
			if level == 3 && strings.HasPrefix(to, "adapter") && p.Name != "main" && !mayOpenAdapters(p.ImportPath) {
				t.Errorf("%s must not import the adapter %s: reach it by a port", p.ImportPath, imp)
			}
		}
	}
}

// mayOpenAdapters: the gateway's app, the shop and the operators' commands open their
// backends, each in one package.
func mayOpenAdapters(path string) bool {
	return path == "flashgate/caddymodule/app" || path == "flashgate/orderworker/command" || path == "flashgate/shopapp/backend"
}

// The plugin links neither the shop, nor the worker, nor a MySQL driver.
func TestThePluginLinksOnlyItsOwn(t *testing.T) {
	t.Parallel()
	// The tags are those that xcaddy builds with; without them Caddy itself links
	// database drivers.
	for _, p := range goList(t, "-tags", "nobadger,nomysql,nopgx", "./caddymodule") {
		for _, dep := range p.Deps {
			for _, banned := range []string{"flashgate/shopapp", "flashgate/orderworker", "flashgate/deploy", "flashgate/internal/conformance", "github.com/go-sql-driver/mysql"} {
				if dep == banned || strings.HasPrefix(dep, banned+"/") {
					t.Errorf("caddymodule links %s", dep)
				}
			}
		}
	}
}

// One file makes all the calls, because the order is one list.
func TestOneCallerOfRegisterDirectiveOrder(t *testing.T) {
	t.Parallel()
	found := false
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || path == "layout_test.go" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(b, []byte("RegisterDirectiveOrder(")) {
			if filepath.ToSlash(path) != "caddymodule/order.go" {
				t.Errorf("%s calls RegisterDirectiveOrder", path)
			}
			found = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !found {
		t.Error("nobody calls RegisterDirectiveOrder")
	}
}

// Every package says what it is for.
func TestEveryPackageHasAComment(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-f", "{{if and (not .Doc) .GoFiles}}{{.ImportPath}}{{end}}", "./...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if s := strings.TrimSpace(string(out)); s != "" {
		t.Errorf("without a package comment: %s", s)
	}
}
