package jmeter_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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

// plans are all that there are, by name.
func plans(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.jmx")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no plans (%v)", err)
	}
	texts := map[string]string{}
	for _, f := range files {
		texts[strings.TrimSuffix(f, ".jmx")] = read(t, f)
	}
	return texts
}

// section of the README under a heading, to the next one of the same level.
func section(readme, heading string) string {
	_, rest, ok := strings.Cut(readme, "\n## "+heading+"\n")
	if !ok {
		return ""
	}
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}

// The README lists every property of a plan with its default, and no other: those that
// all plans have in one table, the plan's own in its section.
func TestEveryPropertyIsExplained(t *testing.T) {
	t.Parallel()
	readme := read(t, "README.md")
	common := section(readme, "The plans by themselves")
	used := map[string]bool{}
	for plan, text := range plans(t) {
		own, defaults := section(readme, plan), map[string]string{}
		for _, m := range property.FindAllStringSubmatch(text, -1) {
			name, value := m[1], m[2]
			if before, ok := defaults[name]; ok && before != value {
				t.Errorf("%s: %s has the defaults %q and %q", plan, name, before, value)
			}
			defaults[name] = value
		}
		if len(defaults) == 0 {
			t.Errorf("%s has no properties", plan)
		}
		rows := 0
		for name, value := range defaults {
			shown := "`" + value + "`"
			if value == "" {
				shown = "none"
			}
			row := fmt.Sprintf("| `-J%s` | %s |", name, shown)
			switch {
			case strings.Contains(own, row):
				rows++
			case strings.Contains(common, row):
				used[name] = true
			default:
				t.Errorf("README.md has no row %q for %s", row, plan)
			}
		}
		if n := strings.Count(own, "| `-J"); n != rows {
			t.Errorf("README.md explains %d properties of %s alone, the plan has %d of them", n, plan, rows)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `-J(\\w+)`").FindAllStringSubmatch(common, -1) {
		if !used[m[1]] {
			t.Errorf("README.md explains %s for all plans, and none has it", m[1])
		}
	}
}

// jmeterOwn are the elements of JMeter itself that the plans use.
const jmeterOwn = `TestPlan Arguments Argument ConfigTestElement ThreadGroup SetupThreadGroup PostThreadGroup LoopController
	CSVDataSet HeaderManager Header CookieManager CacheManager Cookie WhileController IfController ForeachController OnceOnlyController
	RuntimeController RunTime GenericController TransactionController ThroughputController SwitchController InterleaveControl RandomController RandomOrderController CriticalSectionController
	TestFragmentController ModuleController HTTPSamplerProxy HTTPArgument RegexExtractor BoundaryExtractor JSONPostProcessor
	JSR223Sampler JSR223PreProcessor JSR223PostProcessor JSR223Assertion JSR223Timer ResponseAssertion
	TestAction SyncTimer ConstantTimer UniformRandomTimer GaussianRandomTimer PoissonRandomTimer ConstantThroughputTimer PreciseThroughputTimer
	SystemSampler CounterConfig RandomVariableConfig UserParameters`

// Only classes of JMeter itself: no plug-in is needed.
func TestNoPlugIns(t *testing.T) {
	t.Parallel()
	own := map[string]bool{}
	for _, name := range strings.Fields(jmeterOwn) {
		own[name] = true
	}
	for plan, text := range plans(t) {
		n := 0
		for d := xml.NewDecoder(strings.NewReader(text)); ; {
			tok, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", plan, err)
			}
			start, ok := tok.(xml.StartElement)
			if !ok {
				continue
			}
			for _, a := range start.Attr {
				if a.Name.Local == "testclass" || a.Name.Local == "elementType" {
					n++
					if !own[a.Value] {
						t.Errorf("%s: element of class %s", plan, a.Value)
					}
				}
			}
		}
		if n == 0 {
			t.Errorf("%s has no elements", plan)
		}
	}
}

// Where every sample must be a success, a code that is a failure is no permission: the run
// is red with it all the same.
func TestNoPermissionIsPointless(t *testing.T) {
	t.Parallel()
	strict := 0
	for plan, text := range plans(t) {
		form := readForm(t, plan)
		if form.Honest < 1 {
			continue
		}
		strict++
		var successes strings.Builder // the lines of scripts that say what a success is
		for line := range strings.Lines(text) {
			if strings.Contains(line, "setSuccessful(") {
				successes.WriteString(line)
			}
		}
		for label, l := range form.Labels {
			for _, code := range l.Codes {
				if code >= "400" && !strings.Contains(successes.String(), "'"+code+"'") {
					t.Errorf("%s permits %s of %q, and honest_success is %v", plan, code, label, form.Honest)
				}
			}
		}
	}
	if strict == 0 {
		t.Error("no plan has honest_success 1")
	}
}

// Every plan looks at its settings first, in the same way.
func TestEveryPlanChecksItsSettings(t *testing.T) {
	t.Parallel()
	check := read(t, "setup.xml")
	for plan, text := range plans(t) {
		if !strings.Contains(text, check) {
			t.Errorf("%s has not the text of setup.xml, letter for letter", plan)
		}
		for _, name := range []string{"scheme", "host", "port", "sale", "cookie", "needs"} {
			if !strings.Contains(text, `<stringProp name="Argument.name">`+name+`</stringProp>`) {
				t.Errorf("%s has no variable %s, which setup.xml reads", plan, name)
			}
		}
	}
}

// A property that setup.xml does not look at may have any text.
func TestEveryPropertyIsLookedAt(t *testing.T) {
	t.Parallel()
	texts := []string{"host", "sale", "key", "data", "cookie", "goods", "table", "reload", "restart"}
	check := read(t, "setup.xml")
	for plan, text := range plans(t) {
		found := regexp.MustCompile(`__P\((\w+)`).FindAllStringSubmatch(text, -1)
		if len(found) == 0 {
			t.Errorf("%s has no properties", plan)
		}
		for _, m := range found {
			looked := regexp.MustCompile(`(?m)^def (numbers|rates|words) = [^\n]*(\n {8}[^\n]*)*\b` + m[1] + `\b`).MatchString(check)
			if !looked && !slices.Contains(texts, m[1]) {
				t.Errorf("%s has the property %s: say in setup.xml what it may be", plan, m[1])
			}
		}
	}
}

// What the verdict reads is what the properties file makes JMeter write.
func TestTheResultsFileHasTheVariables(t *testing.T) {
	t.Parallel()
	if text := read(t, "flashgate.properties"); !strings.Contains(text, "\nsample_variables=order,user,sale,outcome,status,who\n") {
		t.Errorf("sample_variables is not as the verdict needs it:\n%s", text)
	}
}
