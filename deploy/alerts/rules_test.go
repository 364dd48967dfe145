package alerts_test

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"go.yaml.in/yaml/v3"
)

// rule is one alerting rule. The form is Prometheus':
// https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func readRules(t *testing.T) (out []rule) {
	t.Helper()
	b, err := os.ReadFile("flashgate.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		out = append(out, g.Rules...)
	}
	if len(out) < 20 {
		t.Fatalf("only %d rules were read", len(out))
	}
	return out
}

func TestRulesAreWhole(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range readRules(t) {
		if !strings.HasPrefix(r.Alert, "Flashgate") || seen[r.Alert] {
			t.Errorf("alert %q: wants a name of its own that begins with Flashgate", r.Alert)
		}
		seen[r.Alert] = true
		if s := r.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s has the severity %q", r.Alert, s)
		}
		for _, a := range []string{"summary", "description"} {
			if len(r.Annotations[a]) < 15 {
				t.Errorf("%s has no %s", r.Alert, a)
			}
		}
		if r.For != "" {
			if d, err := time.ParseDuration(r.For); err != nil || d < time.Second || d > 10*time.Minute {
				t.Errorf("%s waits for %q", r.Alert, r.For)
			}
		}
		if n := strings.Count(r.Expr, "(") - strings.Count(r.Expr, ")"); n != 0 {
			t.Errorf("%s has %d more ( than )", r.Alert, n)
		}
		selectors(t, r)
	}
}

// Each figure that says whether a promise is kept or anything is stuck has its alert.
func TestEveryFigureHasAnAlert(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, r := range readRules(t) {
		for _, s := range selectors(t, r) {
			used[s.metric] = true
		}
	}
	rows, _ := readPage(t)
	n := 0
	for name, r := range rows {
		if !strings.Contains(r.section, "promises") && !strings.Contains(r.section, "stuck") {
			continue
		}
		if n++; !used[name] {
			t.Errorf("no rule looks at %s", name)
		}
	}
	if n < 15 {
		t.Errorf("only %d figures were looked at", n)
	}
}

// selector is one place where a rule reads a figure.
type selector struct {
	metric   string      // without what a histogram adds
	matchers [][2]string // label, value
	window   string      // 5m; empty for an instant
	within   string      // the function or aggregation around it
}

var (
	// What a rule may be made of, as far as ours need it.
	words    = regexp.MustCompile(`[a-zA-Z_][a-zA-Z0-9_]*`)
	reading  = regexp.MustCompile(`([a-z_]+)(?: by \([a-z, ]+\))? ?\((flashgate_[a-z_]+)(\{[^}]*\})?(\[\w+\])?`)
	matching = regexp.MustCompile(`^([a-z]+)(=|!=)"([a-z_.0-9]+)"$`)
	label    = regexp.MustCompile(`by \([a-z, ]+\)|\{[^}]*\}|\[\w+\]|offset \w+`)
)

var language = []string{"and", "or", "max", "sum", "rate", "increase", "time", "absent", "histogram_quantile"}

// selectors reads a rule's expression, and refuses what it does not know.
func selectors(t *testing.T, r rule) (out []selector) {
	t.Helper()
	named := 0
	for _, w := range words.FindAllString(label.ReplaceAllString(r.Expr, ""), -1) {
		switch {
		case strings.HasPrefix(w, "flashgate_"):
			named++
		case !slices.Contains(language, w):
			t.Errorf("%s: %q is neither a figure nor a function that the rules use", r.Alert, w)
		}
	}
	for _, m := range reading.FindAllStringSubmatch(r.Expr, -1) {
		s := selector{within: m[1], metric: m[2], window: strings.Trim(m[4], "[]")}
		if base, ok := strings.CutSuffix(s.metric, "_bucket"); ok {
			s.metric = base
		}
		for _, one := range strings.FieldsFunc(strings.Trim(m[3], "{}"), func(r rune) bool { return r == ',' }) {
			parts := matching.FindStringSubmatch(one)
			if parts == nil {
				t.Errorf("%s: cannot read the matcher %s", r.Alert, one)
				continue
			}
			s.matchers = append(s.matchers, [2]string{parts[1], parts[3]})
		}
		out = append(out, s)
	}
	if named == 0 || named != len(out) {
		t.Errorf("%s names %d figures, and %d of them within a function", r.Alert, named, len(out))
	}
	return out
}

// check holds what a rule reads against what is exported: the figure, the labels and
// their values, and how it is added up.
func (s selector) check(t *testing.T, r rule, families map[string]*dto.MetricFamily) {
	t.Helper()
	f := families[s.metric]
	if f == nil {
		t.Errorf("%s reads %s, which nobody exports", r.Alert, s.metric)
		return
	}
	if s.within == "absent" {
		return
	}
	grows := f.GetType() != dto.MetricType_GAUGE
	if within := s.within == "rate" || s.within == "increase"; within != grows || (s.window != "") != grows {
		t.Errorf("%s reads %s, a %s, within %s[%s]", r.Alert, s.metric, f.GetType(), s.within, s.window)
	}
	if rows, _ := readPage(t); !grows && s.within != rows[s.metric].over {
		t.Errorf("%s: the page says %s of %s, the rule has %s", r.Alert, rows[s.metric].over, s.metric, s.within)
	}
	for _, m := range s.matchers {
		if !slices.ContainsFunc(f.GetMetric(), func(one *dto.Metric) bool {
			return slices.ContainsFunc(one.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == m[0] && l.GetValue() == m[1] })
		}) {
			t.Errorf("%s reads %s with %s=%q, which no series has", r.Alert, s.metric, m[0], m[1])
		}
	}
}
