package jmeter_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
)

var property = regexp.MustCompile(`\$\{__P\((\w+),([^)]*)\)\}`)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The README lists every property of the plan with its default, and no other.
func TestEveryPropertyIsExplained(t *testing.T) {
	t.Parallel()
	readme, defaults := read(t, "README.md"), map[string]string{}
	for _, m := range property.FindAllStringSubmatch(read(t, "flash-sale.jmx"), -1) {
		name, value := m[1], m[2]
		if before, ok := defaults[name]; ok && before != value {
			t.Errorf("%s has the defaults %q and %q", name, before, value)
		}
		defaults[name] = value
	}
	for name, value := range defaults {
		shown := "`" + value + "`"
		if value == "" {
			shown = "none"
		}
		if row := fmt.Sprintf("| `-J%s` | %s |", name, shown); !strings.Contains(readme, row) {
			t.Errorf("README.md has no row %q", row)
		}
	}
	if n := strings.Count(readme, "| `-J"); n != len(defaults) || n == 0 {
		t.Errorf("README.md explains %d properties, the plan has %d", n, len(defaults))
	}
}

// Only classes of JMeter itself: no plug-in is needed.
func TestNoPlugIns(t *testing.T) {
	t.Parallel()
	own := map[string]bool{}
	for _, name := range strings.Fields(`TestPlan Arguments Argument ConfigTestElement ThreadGroup LoopController CSVDataSet
		HeaderManager Header WhileController IfController HTTPSamplerProxy HTTPArgument RegexExtractor JSR223PostProcessor TestAction SyncTimer`) {
		own[name] = true
	}
	n := 0
	for d := xml.NewDecoder(strings.NewReader(read(t, "flash-sale.jmx"))); ; {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		start, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		for _, a := range start.Attr {
			if a.Name.Local == "testclass" || a.Name.Local == "elementType" {
				n++
				if !own[a.Value] {
					t.Errorf("element of class %s", a.Value)
				}
			}
		}
	}
	if n == 0 {
		t.Error("the plan has no elements")
	}
}

// What the verdict reads is what the properties file makes JMeter write.
func TestTheResultsFileHasTheVariables(t *testing.T) {
	t.Parallel()
	if text := read(t, "flashgate.properties"); !strings.Contains(text, "\nsample_variables=order,user,sale,outcome,status,who\n") {
		t.Errorf("sample_variables is not as the verdict needs it:\n%s", text)
	}
}
