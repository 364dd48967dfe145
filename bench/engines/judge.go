package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"golang.org/x/perf/benchfmt"
)

// judged are the units that got worse when they grew.
var judged = []string{"allocs/op", "B/op"}

// tolerance is by which part of the stored median the new one may be larger: the size of
// maps and of buffers from pools hangs on how long a benchmark ran.
const tolerance = 0.02

// figure is one unit of one benchmark of one package.
type figure struct{ pkg, name, unit string }

func (f figure) String() string { return f.pkg + " " + f.name + " " + f.unit }

// samples are in ascending order.
type samples map[figure][]float64

func readFile(path string) (samples, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("no stored benchmarks, make them with -store: %w", err)
	}
	defer f.Close()
	return read(f, path)
}

// read takes what is judged out of the output of go test.
func read(r io.Reader, name string) (samples, error) {
	all := samples{}
	reader := benchfmt.NewReader(r, name)
	for reader.Scan() {
		result, ok := reader.Result().(*benchfmt.Result)
		if !ok { // a line that belongs to no benchmark
			continue
		}
		for _, unit := range judged {
			if v, ok := result.Value(unit); ok {
				f := figure{result.GetConfig("pkg"), string(result.Name.Full()), unit}
				all[f] = append(all[f], v)
			}
		}
	}
	for _, vs := range all {
		slices.Sort(vs)
	}
	if err := reader.Err(); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no benchmarks", name)
	}
	return all, nil
}

// judge is an error when a figure got worse: each new sample is above each stored one,
// and the median by more than the tolerance. So it is where all were run and one that is
// stored is gone: else it would never be looked at again.
func judge(w io.Writer, before, now samples, all bool) error {
	worse, gone, added := 0, 0, 0
	for _, f := range sorted(before) {
		was, is := before[f], now[f]
		switch {
		case len(is) == 0:
			if all {
				gone++
				fmt.Fprintf(w, "gone: %s\n", f)
			}
		case is[0] > was[len(was)-1] && median(is) > median(was)*(1+tolerance):
			worse++
			fmt.Fprintf(w, "worse: %s: %.0f, was %.0f\n", f, median(is), median(was))
		}
	}
	for _, f := range sorted(now) {
		if _, ok := before[f]; !ok {
			added++
			fmt.Fprintf(w, "not stored: %s\n", f)
		}
	}
	fmt.Fprintf(w, "%d figures of bytes and allocations: %d worse, %d gone, %d not stored\n", len(now), worse, gone, added)
	switch {
	case worse > 0:
		return errors.New("something takes more memory than it did; if it has to: go -C bench run ./engines -store")
	case gone > 0:
		return errors.New("stored benchmarks are gone; if they have to be: go -C bench run ./engines -store")
	}
	return nil
}

func sorted(s samples) []figure {
	return slices.SortedFunc(maps.Keys(s), func(a, b figure) int { return cmp.Compare(a.String(), b.String()) })
}

func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
