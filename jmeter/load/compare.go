package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// compare is the command: one plan against two targets in turn, A B A B, as what else
// the machine does changes with time.
func compare(ctx context.Context, s settings, args []string) (exit int, err error) {
	if len(args) != 3 || args[0] == "" || args[1] == "" || args[2] == "" {
		return exitUnable, errors.New("say two targets and one plan: make jmeter-compare A=… B=… PLAN=…; a target is an address, demo, or demo:FILE for a demo on another Caddyfile")
	}
	targets := map[string]string{"A": args[0], "B": args[1]}
	p, err := readPlan(s.root, args[2])
	if err != nil {
		return exitUnable, err
	}
	if s.usersCSV != "" || s.sale != "" {
		return exitUnable, errors.New("USERS_CSV and SALE are for one run: a comparison makes users and a sale for each")
	}
	r, err := newRunner(ctx, s)
	if err != nil {
		return exitUnable, err
	}
	defer func() {
		if e := r.close(); e != nil {
			exit, err = exitUnable, errors.Join(err, e)
		}
	}()
	runs := map[string][]outcome{}
	for round := range s.rounds {
		for _, name := range []string{"A", "B"} {
			folder := filepath.Join(s.out, fmt.Sprintf("%s-%d", name, round+1))
			o, err := r.play(ctx, p, targets[name], name, folder, io.Discard)
			if err != nil {
				// A comparison with a hole in it says nothing.
				return exitUnable, fmt.Errorf("%s, round %d: %w", name, round+1, err)
			}
			fmt.Fprintf(os.Stderr, "load: %s, round %d: verdict %s, in %s\n", name, round+1, o.verdict(), folder)
			runs[name] = append(runs[name], o)
			exit = max(exit, o.exit)
		}
	}
	fmt.Printf("%s, %d rounds; A: %s, B: %s\n", p.name, s.rounds, args[0], args[1])
	printComparison(os.Stdout, runs["A"], runs["B"])
	if exit != exitGreen {
		fmt.Printf("a verdict was red: see verdict.txt in %s\n", s.out)
	}
	return exit, nil
}

// measures are what is compared of a label.
var measures = []struct {
	name string
	of   func(*figures) float64
}{
	{"requests/s", func(f *figures) float64 { return f.PerSec }},
	{"p50 ms", func(f *figures) float64 { return f.P50 }},
	{"p95 ms", func(f *figures) float64 { return f.P95 }},
	{"p99 ms", func(f *figures) float64 { return f.P99 }},
}

// printComparison prints for each label the medians, and B's part of A with the least and
// the most of the rounds.
func printComparison(w io.Writer, a, b []outcome) {
	labels := map[string]bool{}
	for _, o := range slices.Concat(a, b) {
		for label := range o.labels {
			labels[label] = true
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "label\t\tA\tB\tB/A\tleast–most")
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		for _, m := range measures {
			as, bs := values(a, label, m.of), values(b, label, m.of)
			if len(as) < len(a) || len(bs) < len(b) {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t-\tnot in every run\n", label, m.name, spread(as), spread(bs))
				continue
			}
			least, middle, most := ratios(as, bs)
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s–%s\n", label, m.name, number(median(as)), number(median(bs)), middle, least, most)
		}
	}
	_ = t.Flush()
}

// values are a measure of a label in the runs that have the label.
func values(runs []outcome, label string, of func(*figures) float64) (vs []float64) {
	for _, o := range runs {
		if f := o.labels[label]; f != nil {
			vs = append(vs, of(f))
		}
	}
	return vs
}

// ratios of B to A, round by round. An answer in less than a millisecond is nought here:
// nothing can be divided by it.
func ratios(as, bs []float64) (least, middle, most string) {
	var rs []float64
	for i := range as {
		if as[i] == 0 {
			return "-", "-", "-"
		}
		rs = append(rs, bs[i]/as[i])
	}
	return fmt.Sprintf("%.2f", slices.Min(rs)), fmt.Sprintf("%.2f", median(rs)), fmt.Sprintf("%.2f", slices.Max(rs))
}

func spread(vs []float64) string {
	if len(vs) == 0 {
		return "-"
	}
	return number(median(vs))
}

func median(vs []float64) float64 {
	sorted := slices.Sorted(slices.Values(vs))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// number without decimals that nobody reads.
func number(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return strings.TrimSuffix(strings.TrimSuffix(fmt.Sprintf("%.2f", v), "0"), ".0")
}
