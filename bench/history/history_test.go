package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// label is a label of a run, as the load command writes it.
func label(name string, count int, p95 float64) string {
	return fmt.Sprintf(`%q:{"count":%d,"codes":{"200":%d},"per_second":%g,"p50_ms":1,"p95_ms":%g,"p99_ms":9}`, name, count, count, p95+1, p95)
}

func line(commit, plan, verdict string, labels ...string) string {
	return fmt.Sprintf(`{"time":"2026-01-02T03:04:05Z","commit":%q,"plan":%q,"verdict":%q,"labels":{%s}}`+"\n", commit, plan, verdict, strings.Join(labels, ","))
}

func history(t *testing.T, lines ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "history.jsonl")
	if err := os.WriteFile(name, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// words are the texts of a plot, which must be well-formed XML.
func words(t *testing.T, file string) (texts []string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for d := xml.NewDecoder(f); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if text, ok := token.(xml.CharData); ok && strings.TrimSpace(string(text)) != "" {
			texts = append(texts, strings.TrimSpace(string(text)))
		}
	}
}

func TestPlots(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 8 {
		many = append(many, label(fmt.Sprint("many ", i), 10+i, 5))
	}
	file := history(t,
		line("aaaaaaa", "flash-sale", "green", label("buy", 200, 17), label("poll", 50, 0)),
		line("bbbbbbb", "limits", "green", many...),
		line("ccccccc+", "flash-sale", "red", label("buy", 200, 300)),
	)
	folder := filepath.Join(t.TempDir(), "plots")
	names, err := run(file, folder)
	if err != nil || len(names) != 4 {
		t.Fatalf("%v, %v", names, err)
	}
	sale := words(t, filepath.Join(folder, "jmeter-flash-sale-p95.svg"))
	for _, want := range []string{"flash-sale, run by run", "95th percentile, ms", "buy", "poll", "aaaaaaa", "ccccccc+ (red)", "1,000"} {
		if !slices.Contains(sale, want) {
			t.Errorf("%q is not among %q", want, sale)
		}
	}
	// More labels than colours: those with the most samples.
	limits := words(t, filepath.Join(folder, "jmeter-limits-rate.svg"))
	if slices.Contains(limits, "many 0") || slices.Contains(limits, "many 1") || !slices.Contains(limits, "many 2") || !slices.Contains(limits, "many 7") {
		t.Errorf("the labels of limits: %q", limits)
	}
}

func TestNoHistory(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, says string }{
		"no file":       {filepath.Join(t.TempDir(), "none"), "no such file"},
		"no runs":       {history(t), "has no runs"},
		"without lines": {history(t, line("a", "soak", "unknown")), "has no runs"},
		"no JSON":       {history(t, line("a", "soak", "green", label("buy", 1, 1)), "{\n"), "line 2: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if names, err := run(c.file, t.TempDir()); err == nil || !strings.Contains(err.Error(), c.says) || names != nil {
				t.Errorf("%v, %v; want %q", names, err, c.says)
			}
		})
	}
}
