package caddymodule_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"flashgate/caddymodule/gatewaytest"
)

var example = regexp.MustCompile("(?s)```caddyfile\n(.*?)```")

// Every Caddyfile that the documentation shows is one.
func TestExamplesOfTheDocs(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, page := range append(pages, "../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range example.FindAllStringSubmatch(string(text), -1) {
			n++
			if _, err := gatewaytest.Adapt(found[1]); err != nil {
				t.Errorf("%s: %v\n%s", filepath.Base(page), err, strings.TrimSpace(found[1]))
			}
		}
	}
	if n < 4 {
		t.Errorf("only %d examples were found", n)
	}
}
