package main

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// output is what go test prints of six samples of a benchmark.
func output(name string, ns, bytes, allocs int) string {
	var b strings.Builder
	b.WriteString("goos: linux\npkg: flashgate/internal/gate\ncpu: any\n")
	for range 6 {
		fmt.Fprintf(&b, "Benchmark%s-2 \t 100\t %d ns/op\t %d B/op\t %d allocs/op\n", name, ns, bytes, allocs)
	}
	return b.String() + "PASS\nok  \tflashgate/internal/gate\t1.0s\n"
}

func parsed(t *testing.T, text string) samples {
	t.Helper()
	s, err := read(strings.NewReader(text), "test")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestJudge(t *testing.T) {
	t.Parallel()
	before := output("Reserve", 1000, 1000, 10)
	for _, c := range []struct {
		name string
		now  string
		want string // in the error; empty: none
	}{
		{"the same", before, ""},
		{"slower", output("Reserve", 9000, 1000, 10), ""},
		{"better", output("Reserve", 1000, 900, 9), ""},
		{"a byte more", output("Reserve", 1000, 1001, 10), ""},
		{"many bytes more", output("Reserve", 1000, 1030, 10), "more memory"},
		{"an allocation more", output("Reserve", 1000, 1000, 11), "more memory"},
		{"a new one", before + output("Other", 1, 1, 1), ""},
		{"gone", output("Other", 1, 1, 1), "are gone"},
	} {
		var out strings.Builder
		err := judge(&out, parsed(t, before), parsed(t, c.now), true)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q\n%s", c.name, err, c.want, out.String())
		}
	}
	if err := judge(io.Discard, parsed(t, before), parsed(t, output("Other", 1, 1, 1)), false); err != nil {
		t.Errorf("not all were run: %v", err)
	}
}

// Of samples that overlap nothing is said.
func TestJudgeNoise(t *testing.T) {
	t.Parallel()
	f := figure{"p", "n", "B/op"}
	before, now := samples{f: {100, 100, 110}}, samples{f: {109, 120, 130}}
	if err := judge(io.Discard, before, now, true); err != nil {
		t.Error(err)
	}
	now[f][0] = 111
	if err := judge(io.Discard, before, now, true); err == nil {
		t.Error("all are above, and it is no worse")
	}
}

// From nothing to one allocation is worse, whatever the tolerance.
func TestJudgeFromNothing(t *testing.T) {
	t.Parallel()
	if err := judge(io.Discard, parsed(t, output("Match", 1, 0, 0)), parsed(t, output("Match", 1, 8, 1)), true); err == nil {
		t.Error("it is no worse")
	}
}

func TestReadNothing(t *testing.T) {
	t.Parallel()
	if _, err := read(strings.NewReader("PASS\n"), "test"); err == nil {
		t.Error("an output without benchmarks must be an error")
	}
}
