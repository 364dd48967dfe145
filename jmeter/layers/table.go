package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// table has the runs of each layer.
type table struct {
	set  settings
	runs [][]*measured
}

func newTable(s settings) *table { return &table{set: s, runs: make([][]*measured, len(layers))} }

func (t *table) add(layer int, m *measured) { t.runs[layer] = append(t.runs[layer], m) }

// print prints medians and, behind them, the least and the most.
func (t *table) print(w io.Writer) {
	var machine struct {
		Cores  int
		CPU    string
		Memory int64 `json:"memory_mib"`
		Go     string
		JMeter string
		Java   string
	}
	_ = json.Unmarshal(t.runs[0][0].Machine, &machine) // it was read before
	fmt.Fprintf(w, "%d users, %d units, %d rounds in turns; JMeter %s, site and servers share %d cores of an %s, %d MiB, Go %s, Java %s\n\n",
		t.set.users, t.set.units, t.set.rounds, machine.JMeter, machine.Cores, machine.CPU, machine.Memory, machine.Go, machine.Java)
	fmt.Fprintln(w, "| layers | product pages/s | p50, p99 ms | presses/s | p50, p99 ms | orders, refusals |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|")
	for i, l := range layers {
		pages, buys := t.of(i, "product"), t.of(i, "buy")
		fmt.Fprintf(w, "| %s | %s | %s, %s | %s | %s, %s | %d, %d |\n", l.title,
			spread(pages, perSecond), middle(pages, p50), middle(pages, p99), spread(buys, perSecond), middle(buys, p50), middle(buys, p99),
			buys[0].Codes["202"], buys[0].Codes["409"])
	}
}

// of are the figures of a label in all rounds of a layer.
func (t *table) of(layer int, label string) (fs []figure) {
	for _, m := range t.runs[layer] {
		fs = append(fs, m.Labels[label])
	}
	return fs
}

func perSecond(f figure) float64 { return f.PerSec }
func p50(f figure) float64       { return f.P50 }
func p99(f figure) float64       { return f.P99 }

func sorted(fs []figure, of func(figure) float64) (vs []float64) {
	for _, f := range fs {
		vs = append(vs, of(f))
	}
	slices.Sort(vs)
	return vs
}

func middle(fs []figure, of func(figure) float64) string {
	vs := sorted(fs, of)
	return fmt.Sprintf("%.0f", vs[len(vs)/2])
}

func spread(fs []figure, of func(figure) float64) string {
	vs := sorted(fs, of)
	return fmt.Sprintf("%.0f (%.0f–%.0f)", vs[len(vs)/2], vs[0], vs[len(vs)-1])
}
