// Command history draws the runs of the load tests over time: `make jmeter-plot` calls it.
//
//	history [-history FILE] [-plots FOLDER]
//
// For each plan in the file, which jmeter/load has written, it draws two plots: p95 and
// requests/s of the labels, run by run. It is imported by nobody.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"flashgate/bench/chart"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

func main() {
	file := flag.String("history", "../jmeter/history.jsonl", "the history's `file`")
	folder := flag.String("plots", "../docs/performance", "`folder` for the plots")
	flag.Parse()
	names, err := run(*file, *folder)
	for _, name := range names {
		fmt.Println(name)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "history:", err)
		os.Exit(1)
	}
}

// entry is a line of the history, as far as it is drawn.
type entry struct {
	Commit  string             `json:"commit"`
	Plan    string             `json:"plan"`
	Verdict string             `json:"verdict"`
	Labels  map[string]figures `json:"labels"`
}

type figures struct {
	Count  int     `json:"count"`
	PerSec float64 `json:"per_second"`
	P95    float64 `json:"p95_ms"`
}

// run draws all plots and names their files.
func run(file, folder string) (names []string, err error) {
	plans, err := read(file)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	for _, plan := range slices.Sorted(maps.Keys(plans)) {
		for _, f := range []struct {
			name, y string
			of      func(figures) float64
		}{
			{"p95", "95th percentile, ms", func(f figures) float64 { return f.P95 }},
			{"rate", "requests/s", func(f figures) float64 { return f.PerSec }},
		} {
			name := filepath.Join(folder, "jmeter-"+plan+"-"+f.name+".svg")
			if err := draw(name, plan+", run by run", f.y, plans[plan], f.of); err != nil {
				return names, fmt.Errorf("%s: %w", name, err)
			}
			names = append(names, name)
		}
	}
	return names, nil
}

// read gives the runs by plan, in the file's order. Runs without an answer are not drawn.
func read(file string) (map[string][]entry, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	plans := map[string][]entry{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for n := 1; lines.Scan(); n++ {
		var e entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", file, n, err)
		}
		if len(e.Labels) > 0 {
			plans[e.Plan] = append(plans[e.Plan], e)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(plans) == 0 {
		return nil, errors.New(file + " has no runs")
	}
	return plans, nil
}

// clock is the least that JMeter tells apart, in ms: a figure of nought is less than it,
// and has no place on a logarithmic axis.
const clock = 0.5

func draw(path, title, y string, runs []entry, of func(figures) float64) error {
	p := chart.New(title, "commit", y)
	least, most := math.Inf(1), math.Inf(-1)
	for i, label := range busiest(runs) {
		var points plotter.XYs
		for x, e := range runs {
			if f, ok := e.Labels[label]; ok {
				v := max(of(f), clock)
				points = append(points, plotter.XY{X: float64(x + 1), Y: v})
				least, most = min(least, v), max(most, v)
			}
		}
		if err := chart.Line(p, i, label, points); err != nil {
			return err
		}
	}
	p.X.Tick.Marker = commits(runs)
	p.X.Min, p.X.Max = 0.5, float64(len(runs))+0.5
	chart.Room(p, least, most)
	return chart.Save(p, path)
}

// busiest are the labels with the most samples over all runs, as many as can be told apart.
func busiest(runs []entry) []string {
	counts := map[string]int{}
	for _, e := range runs {
		for label, f := range e.Labels {
			counts[label] += f.Count
		}
	}
	labels := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(counts[b]-counts[a], cmp.Compare(a, b))
	})
	return labels[:min(len(labels), chart.Series)]
}

// mostTicks is how many commits fit beside each other.
const mostTicks = 8

// commits are ticks at the runs; a red run is marked.
func commits(runs []entry) plot.Ticker {
	var ticks plot.ConstantTicks
	every := (len(runs) + mostTicks - 1) / mostTicks
	for i, e := range runs {
		t := plot.Tick{Value: float64(i + 1)}
		if i%every == 0 {
			t.Label = e.Commit
			if e.Verdict != "green" {
				t.Label += " (" + e.Verdict + ")"
			}
		}
		ticks = append(ticks, t)
	}
	return ticks
}
