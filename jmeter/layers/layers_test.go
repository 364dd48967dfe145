package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// With few users: every layer sells exactly what there is, and the table has a row for it.
func TestEveryLayerSellsWhatThereIs(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	// go test keeps a result until a file changes that a test itself has read.
	for _, name := range []string{"jmeter/seckill-classic.jmx", "jmeter/seckill-classic.json", "jmeter/seckill-classic.Caddyfile"} {
		if _, err := os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	var out, progress bytes.Buffer
	if err := run(t.Context(), []string{"--users", "30", "--units", "5", "--rounds", "1", "--views", "2"}, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	for _, l := range layers {
		if !strings.Contains(out.String(), "| "+l.title+" | ") {
			t.Errorf("no row %q", l.title)
		}
	}
	if strings.Count(out.String(), "| 5, 25 |\n") != len(layers) || t.Failed() {
		t.Errorf("the table is\n%s", out.String())
	}
}

func TestSettingsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"more"}, {"--users", "5", "--units", "5"}, {"--units", "0"}, {"--rounds", "0"}, {"--views", "0"}, {"--user", "5"}} {
		if err := run(t.Context(), args, &bytes.Buffer{}, &bytes.Buffer{}); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}

// A run that has sold another number is no row of the table.
func TestARunThatSoldSomethingElse(t *testing.T) {
	t.Parallel()
	set := settings{users: 3, units: 1}
	for text, ok := range map[string]bool{
		`{"labels":{"buy":{"count":3,"codes":{"202":1,"409":2}}}}`:         true,
		`{"labels":{"buy":{"count":3,"codes":{"202":2,"409":1}}}}`:         false,
		`{"labels":{"buy":{"count":3,"codes":{"202":1,"409":1,"503":1}}}}`: false,
		`{"labels":{"buy":{"count":4,"codes":{"202":1,"409":2,"504":1}}}}`: false,
		`{"labels":{}}`: false,
	} {
		file := filepath.Join(t.TempDir(), "history.jsonl")
		if err := os.WriteFile(file, []byte("{}\n"+text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := lastRun(file, set); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}
