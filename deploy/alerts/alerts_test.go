package alerts_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"flashgate"
	"flashgate/internal/fleet"
	"flashgate/internal/servers/serverstest"
)

func TestMain(m *testing.M) { serverstest.Main(m) }

const page = "../../docs/metrics.md"

// documented is one row of the page.
type documented struct {
	kind, labels, over string
	section            string // the heading above it
	row                string
}

var row = regexp.MustCompile("^\\| `(flashgate_[a-z_]+)` \\| ([a-z]+) \\|([^|]*)\\| ([a-z]+) \\| [^|]{20,} \\| [^|]{4,} \\|$")

func readPage(t *testing.T) (rows map[string]documented, text string) {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	rows = map[string]documented{}
	section := ""
	for _, line := range strings.Split(string(b), "\n") {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			section = heading
		}
		m := row.FindStringSubmatch(line)
		if m == nil {
			if strings.HasPrefix(line, "| `flashgate_") {
				t.Errorf("a row that cannot be read: %s", line)
			}
			continue
		}
		if _, twice := rows[m[1]]; twice {
			t.Errorf("%s is there twice", m[1])
		}
		rows[m[1]] = documented{m[2], m[3], m[4], section, line}
	}
	return rows, string(b)
}

// build builds the programs of a site.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for program, pkg := range map[string]string{
		"flashgate-demo": "flashgate/deploy/demo", "shopapp": "flashgate/shopapp", "orderworker": "flashgate/orderworker",
	} {
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, program), pkg).CombinedOutput(); err != nil {
			t.Fatalf("%s%v", out, err)
		}
	}
	return dir
}

// exported runs a gateway and a worker on real servers and reads what each of them
// shows, once the worker has read its figures.
func exported(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	const free = "127.0.0.1:0"
	f, err := fleet.Start(t.Context(), fleet.Config{
		Gateways: 1, Workers: 1, Bin: build(t), Root: root, Data: t.TempDir(), Keys: flashgate.NewKey(),
		RedisURL: serverstest.Redis(t).URL(), AMQPURL: serverstest.RabbitMQ(t).URL(), MySQLDSN: serverstest.Database(t),
		GatewayAddr: free, AdminAddr: free, ShopAddr: free, WorkerAddr: free,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Stop(); err != nil {
			t.Error(err)
		}
	}()
	out := scrape(t, f.Gateways[0].Metrics)
	var worker map[string]*dto.MetricFamily
	read := func() bool {
		worker = scrape(t, f.Workers[0].Metrics)
		times := worker["flashgate_worker_figures_timestamp_seconds"].GetMetric()
		return len(times) == 3 && !slices.ContainsFunc(times, func(m *dto.Metric) bool { return m.GetGauge().GetValue() == 0 })
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(time.Minute); !read(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("the worker does not read its figures")
		}
	}
	for name, family := range worker {
		if out[name] != nil {
			t.Errorf("%s is exported by the gateway and by the worker", name)
		}
		out[name] = family
	}
	return out
}

// scrape reads the figures that are flashgate's own.
func scrape(t *testing.T, url string) map[string]*dto.MetricFamily {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, res.Status, err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(families, func(name string, _ *dto.MetricFamily) bool { return !strings.HasPrefix(name, "flashgate_") })
	return families
}

// What running processes export is what the page and the rules speak of.
func TestFigures(t *testing.T) {
	families := exported(t)
	rows, text := readPage(t)
	for name, f := range families {
		r, ok := rows[name]
		if !ok {
			t.Errorf("%s is exported and not documented", name)
			continue
		}
		if kind := strings.ToLower(f.GetType().String()); kind != r.kind {
			t.Errorf("%s is a %s, the page says %s", name, kind, r.kind)
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if !strings.Contains(r.labels, "`"+l.GetName()+"`") {
					t.Errorf("%s has the label %s, the page says %q", name, l.GetName(), r.labels)
				}
				if v := l.GetValue(); v != "" && !named[l.GetName()] && !strings.Contains(text, "`"+v+"`") && !inRange(v) {
					t.Errorf("%s has %s=%q, which the page does not list", name, l.GetName(), v)
				}
			}
		}
		if help := f.GetHelp(); r.kind == "gauge" && !strings.HasSuffix(help, fmt.Sprintf("Over several workers: %s.", r.over)) && !strings.HasSuffix(help, fmt.Sprintf("Over several gateways: %s.", r.over)) {
			t.Errorf("%s: the page says %s over several processes, its help %q", name, r.over, help)
		}
	}
	for name := range rows {
		if families[name] == nil {
			t.Errorf("%s is documented and not exported", name)
		}
	}
	for _, r := range readRules(t) {
		for _, s := range selectors(t, r) {
			s.check(t, r, families)
		}
	}
}

// named are labels whose values are names that the operator has given.
var named = map[string]bool{"limit": true}

// inRange: the page writes the queues as `orders.0` … `orders.7`.
func inRange(v string) bool { return regexp.MustCompile(`^orders\.[1-6]$`).MatchString(v) }
