package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// mutant is one patch. In front of the diff it says
//
//	Mutant: what it is
//	Breaks: P1
//	Test: ./package TestName/subtest
//
// and then, for people, which safeguard it takes out and what comes of that.
type mutant struct {
	file   string // its name without .patch
	path   string
	breaks string // the promise, P1 to P5
	pkg    string
	test   string
}

// load reads the patches of a folder in the order of their names.
func load(dir string) (all []mutant, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.patch"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		m, err := parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if m.path, err = filepath.Abs(path); err != nil {
			return nil, err
		}
		m.file = strings.TrimSuffix(filepath.Base(path), ".patch")
		all = append(all, m)
	}
	return all, nil
}

var promise = regexp.MustCompile(`^P[1-5]$`)

// parse reads the head of a patch.
func parse(text string) (m mutant, err error) {
	head, _, ok := strings.Cut(text, "\ndiff --git ")
	if !ok {
		return m, fmt.Errorf("there is no diff")
	}
	fields := map[string]string{}
	for line := range strings.Lines(head) {
		name, value, ok := strings.Cut(line, ":")
		if ok && fields[name] == "" {
			fields[name] = strings.TrimSpace(value)
		}
	}
	m.breaks = fields["Breaks"]
	m.pkg, m.test, ok = strings.Cut(fields["Test"], " ")
	switch {
	case fields["Mutant"] == "":
		return m, fmt.Errorf("the line Mutant is missing")
	case !promise.MatchString(m.breaks):
		return m, fmt.Errorf("the line Breaks is %q, want a promise from P1 to P5", m.breaks)
	case !ok || !strings.HasPrefix(m.pkg, "./") || !strings.HasPrefix(m.test, "Test"):
		return m, fmt.Errorf("the line Test is %q, want a package and a test, such as ./deploy/real TestScenarios/repeats", fields["Test"])
	case fields["Safeguard"] == "" || fields["Taken out"] == "":
		return m, fmt.Errorf("the lines Safeguard and Taken out must say what it does")
	}
	return m, nil
}

// verdict is what a test made of a mutant.
type verdict struct {
	caught bool
	why    string // not caught
	output string
}

// judge reads what `go test` printed. failed says that it ended with an error.
func (m mutant) judge(output string, failed bool) verdict {
	v := verdict{output: output}
	broken := regexp.MustCompile(`(?m)^\s+\w+_test\.go:\d+: (?:.*: )?` + m.breaks + `[:,]`)
	switch {
	case strings.Contains(output, "[build failed]"), strings.Contains(output, "[setup failed]"):
		v.why = "it does not build"
	case !failed:
		v.why = "the test passes"
	case strings.Contains(output, "panic: test timed out"):
		v.why = "the test hangs"
	case !strings.Contains(output, "--- FAIL: "+m.test+" "):
		v.why = "something else failed"
	case !broken.MatchString(output):
		v.why = "the test fails and does not say that " + m.breaks + " is broken"
	default:
		v.caught = true
	}
	return v
}

// group is the tests of one package.
type group struct {
	pkg   string
	tests []string
}

func byPackage(ms []mutant) (out []group) {
	at := map[string]int{}
	seen := map[string]bool{}
	for _, m := range ms {
		if seen[m.pkg+m.test] {
			continue
		}
		seen[m.pkg+m.test] = true
		i, ok := at[m.pkg]
		if !ok {
			i = len(out)
			at[m.pkg] = i
			out = append(out, group{pkg: m.pkg})
		}
		out[i].tests = append(out[i].tests, m.test)
	}
	return out
}

// pattern is the -run of some tests of one top-level test each.
func pattern(tests []string) string {
	var tops, subs []string
	for _, t := range tests {
		top, sub, _ := strings.Cut(t, "/")
		tops, subs = append(tops, top), append(subs, sub)
	}
	run := "^(" + strings.Join(tops, "|") + ")$"
	if strings.Join(subs, "") != "" {
		run += "/^(" + strings.Join(subs, "|") + ")$"
	}
	return run
}
