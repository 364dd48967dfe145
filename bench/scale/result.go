package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"flashgate/bench/chart"
	"flashgate/internal/machine"
)

// result is what -out writes. Schema changes when a field changes its meaning.
type result struct {
	Schema   int           `json:"schema"`
	Started  time.Time     `json:"started"`
	Cores    int           `json:"cores"`
	CPU      string        `json:"cpu"`
	Go       string        `json:"go"`
	Load     float64       `json:"load_before"` // the machine's, over the minute before the run
	Settings settings      `json:"settings"`
	Curves   []curveResult `json:"curves"`
}

// curveResult is a curve with its figures, each of which becomes a plot.
type curveResult struct {
	Name    string    `json:"name"`
	Title   string    `json:"title"`
	Seconds float64   `json:"seconds"` // it took
	Figures []*figure `json:"figures"`
	Notes   []string  `json:"notes,omitempty"`

	Waited    float64 `json:"waited_seconds"`    // for others on this machine to end
	Disturbed int     `json:"disturbed_samples"` // begun while others were at work

	patience time.Duration // that is left
}

// figure has series over one x and in one unit.
type figure struct {
	Name   string    `json:"name"` // of the plot's file
	Title  string    `json:"title"`
	X      string    `json:"x"`
	Y      string    `json:"y"`
	Series []*series `json:"series"`
}

type series struct {
	Name   string  `json:"name"`
	Points []point `json:"points"`
	All    growth  `json:"growth"`
	End    growth  `json:"growth_at_the_end"` // of the upper half of the points, at least three
}

// point is the median of its samples; Min and Max are the least and the most.
type point struct {
	X       float64   `json:"x"`
	Median  float64   `json:"median"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
	Samples []float64 `json:"samples"`
}

// quiet is the machine's load above which others are likely to disturb.
const quiet = 1.5

func newResult(s settings) (*result, error) {
	load, err := loadAverage()
	if err != nil {
		return nil, err
	}
	if load > quiet {
		fmt.Fprintf(os.Stderr, "the machine's load is %.1f: somebody else is at work, and the figures will show it\n", load)
	}
	return &result{Schema: 1, Started: time.Now().UTC().Truncate(time.Second), Cores: runtime.NumCPU(), CPU: machine.CPU(),
		Go: runtime.Version(), Load: load, Settings: s}, nil
}

func loadAverage() (float64, error) {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(b), " ")
	return strconv.ParseFloat(first, 64)
}

func (c *curveResult) figure(name, title, x, y string) *figure {
	f := &figure{Name: name, Title: title, X: x, Y: y}
	c.Figures = append(c.Figures, f)
	return f
}

// add keeps a sample. Series and points stay in the order of their first sample.
func (f *figure) add(name string, x int, sample float64) {
	i := slices.IndexFunc(f.Series, func(s *series) bool { return s.Name == name })
	if i < 0 {
		i = len(f.Series)
		f.Series = append(f.Series, &series{Name: name})
	}
	s := f.Series[i]
	k := slices.IndexFunc(s.Points, func(p point) bool { return p.X == float64(x) })
	if k < 0 {
		k = len(s.Points)
		s.Points = append(s.Points, point{X: float64(x)})
	}
	s.Points[k].Samples = append(s.Points[k].Samples, sample)
}

// sum fills in what follows from the samples.
func (c *curveResult) sum() {
	for _, f := range c.Figures {
		for _, s := range f.Series {
			slices.SortFunc(s.Points, func(a, b point) int { return int(a.X - b.X) })
			for i := range s.Points {
				p := &s.Points[i]
				p.Median, p.Min, p.Max = median(p.Samples), slices.Min(p.Samples), slices.Max(p.Samples)
			}
			s.All = fit(s.Points)
			s.End = fit(s.Points[max(0, min(len(s.Points)/2, len(s.Points)-3)):])
		}
	}
}

func median(samples []float64) float64 {
	sorted := slices.Sorted(slices.Values(samples))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func (r *result) write(path string) error {
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// draw writes a plot of each figure.
func (r *result) draw(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	var errs []error
	for _, c := range r.Curves {
		for _, f := range c.Figures {
			errs = append(errs, f.draw(filepath.Join(folder, f.Name+".svg")))
		}
	}
	return errors.Join(errs...)
}

// print writes the points as tables, and last the growth, one line a series.
func (r *result) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, c := range r.Curves {
		for _, f := range c.Figures {
			f.table(t)
		}
		if c.Disturbed > 0 {
			fmt.Fprintf(t, "%s: %d samples were disturbed by others on this machine\n", c.Name, c.Disturbed)
		}
		for _, note := range c.Notes {
			fmt.Fprintf(t, "%s\n", note)
		}
	}
	fmt.Fprintf(t, "\n%d cores of %s, shared by load, servers and whatever else runs here; medians of %d rounds\n\n", r.Cores, r.CPU, r.Settings.Rounds)
	if err := t.Flush(); err != nil {
		return err
	}
	for _, c := range r.Curves {
		for _, f := range c.Figures {
			for _, s := range f.Series {
				if _, err := fmt.Fprintf(w, "%s, %s, %s: %s\n", f.Name, s.Name, f.Y, s.growth()); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (f *figure) table(w io.Writer) {
	fmt.Fprintf(w, "\n%s: %s\n%s\t", f.Name, f.Y, f.X)
	for _, s := range f.Series {
		fmt.Fprintf(w, "%s\t", s.Name)
	}
	fmt.Fprintln(w)
	for _, x := range f.xs() {
		fmt.Fprintf(w, "%s\t", chart.Thousands(x))
		for _, s := range f.Series {
			text := ""
			if i := slices.IndexFunc(s.Points, func(p point) bool { return p.X == x }); i >= 0 {
				text = number(s.Points[i].Median)
			}
			fmt.Fprintf(w, "%s\t", text)
		}
		fmt.Fprintln(w)
	}
}

// xs are all x that a series has, in order.
func (f *figure) xs() (xs []float64) {
	for _, s := range f.Series {
		for _, p := range s.Points {
			xs = append(xs, p.X)
		}
	}
	slices.Sort(xs)
	return slices.Compact(xs)
}

// number has three figures.
func number(v float64) string {
	if v >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
