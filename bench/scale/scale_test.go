package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
	"flashgate/bench/wrk"
)

func points(f func(x float64) float64, xs ...float64) (ps []point) {
	for _, x := range xs {
		ps = append(ps, point{X: x, Median: f(x)})
	}
	return ps
}

func TestGrowthIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want  string
		slope float64
		f     func(x float64) float64
	}{
		{"constant", 0, func(float64) float64 { return 7 }},
		{"constant", 0, func(x float64) float64 { return 7 + 0.1*math.Log10(x) }},
		{"linear", 1, func(x float64) float64 { return 3 * x }},
		{"logarithmic", 0.17, func(x float64) float64 { return 2 + math.Log(x) }},
		{"as x^0.50", 0.5, math.Sqrt},
		{"as x^2.00", 2, func(x float64) float64 { return x * x }},
		{"falls as x^-1.00", -1, func(x float64) float64 { return 1000 / x }},
	} {
		if g := fit(points(c.f, 10, 100, 1000, 10_000)); g.Name != c.want || math.Abs(g.Slope-c.slope) > 0.05 {
			t.Errorf("%+v, want %s with a slope of %.2f", g, c.want, c.slope)
		}
	}
	if g := fit(points(math.Sqrt, 10)); g.Name != "not known" {
		t.Errorf("one point grows: %+v", g)
	}
}

// A series that rises and then stays is both.
func TestGrowthAtTheEnd(t *testing.T) {
	t.Parallel()
	c := curveResult{}
	f := c.figure("f", "F", "x", "y")
	for _, x := range []int{256, 1, 4, 16, 64, 1024, 4096} { // in any order
		for _, noise := range []float64{-1, 0, 40} { // the median is 0
			f.add("s", x, float64(min(x, 64))*100+noise)
		}
	}
	c.sum()
	s := f.Series[0]
	if p := s.Points[1]; p.X != 4 || p.Median != 400 || p.Min != 399 || p.Max != 440 {
		t.Errorf("%+v", p)
	}
	if got := s.growth(); !strings.HasSuffix(got, "; from 64 on constant (slope +0.00)") || strings.HasPrefix(got, "constant") {
		t.Error(got)
	}
}

func TestLoadCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		load wrk.Load
		ok   bool
	}{
		{"refused", wrk.Load{Requests: 10, Microseconds: 1, Refused: 10, Bytes: 3001}, true},
		{"nothing", wrk.Load{}, false},
		{"one without an answer", wrk.Load{Requests: 10, Microseconds: 1, Refused: 10, Failed: 1, Bytes: 3000}, false},
		{"one sold", wrk.Load{Requests: 10, Microseconds: 1, Refused: 9, Bytes: 3000}, false},
		{"another refusal", wrk.Load{Requests: 10, Microseconds: 1, Refused: 10, Bytes: 3500}, false},
	} {
		if err := check(c.load, 300); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// A quick run of a curve writes its figures, and a plot of each that is well-formed.
func TestRun(t *testing.T) {
	t.Parallel()
	for curve, figures := range map[string][]string{
		"stock":    {"stock"},
		"users":    {"users-memory", "users-cost"},
		"sales":    {"sales-speed", "sales-batch"},
		"gateways": {"gateways-speed", "gateways-batch", "gateways-redis"},
	} {
		t.Run(curve, func(t *testing.T) {
			out, plots := filepath.Join(t.TempDir(), "out.json"), t.TempDir()
			if err := run(t.Context(), []string{"-quick", "-only", curve, "-out", out, "-plots", plots}); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			var r result
			if err := json.Unmarshal(b, &r); err != nil {
				t.Fatal(err)
			}
			if len(r.Curves) != 1 || len(r.Curves[0].Figures) != len(figures) {
				t.Fatalf("%s", b)
			}
			for i, f := range r.Curves[0].Figures {
				if f.Name != figures[i] {
					t.Errorf("figure %s, want %s", f.Name, figures[i])
				}
				for _, s := range f.Series {
					if len(s.Points) < 2 || s.Points[0].Median <= 0 || s.All.Name == "" {
						t.Errorf("%s: %+v", f.Name, s)
					}
				}
				wellFormed(t, filepath.Join(plots, f.Name+".svg"), f)
			}
		})
	}
}

func wellFormed(t *testing.T, path string, f *figure) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(string(b)))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	for _, text := range []string{f.Title, f.X, f.Series[len(f.Series)-1].Name} {
		if !strings.Contains(string(b), ">"+text+"<") {
			t.Errorf("%s does not say %q", path, text)
		}
	}
}

// Whoever keeps both processors busy is waited for while there is patience, and counted
// when there is none.
func TestCalm(t *testing.T) {
	t.Parallel()
	var calm atomic.Bool
	defer calm.Store(true)
	for range runtime.NumCPU() {
		go func() {
			for !calm.Load() { // keeps a processor busy
			}
		}()
	}
	c := curveResult{patience: time.Second}
	if err := c.calm(t.Context()); err != nil || c.Disturbed != 1 || c.Waited < 1 {
		t.Errorf("%+v, %v", c, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.calm(ctx); err == nil {
		t.Error("it goes on after the end of its context")
	}
}

func TestNoSuchCurve(t *testing.T) {
	t.Parallel()
	if err := run(t.Context(), []string{"-only", "time"}); err == nil || !strings.Contains(err.Error(), "connections, sales, users, gateways, stock") {
		t.Error(err)
	}
}

func newStock(t *testing.T) *stock {
	t.Helper()
	k, err := openStock("off")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// A sale is as large after a sample as it was before.
func TestUsersStayAsMany(t *testing.T) {
	t.Parallel()
	k := newStock(t)
	c := curveResult{}
	f := c.figure("f", "F", "x", "y")
	if _, err := k.fill(t.Context(), "1", 1000, f); err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		if err := k.reserveAmong(t.Context(), "1", 1000, round, f); err != nil {
			t.Fatal(err)
		}
		v, err := k.store.View(t.Context(), "1")
		if err != nil || v.Free != flashgate.MaxStock || v.Held != 0 {
			t.Errorf("%+v, %v", v, err)
		}
		if n, err := k.raw.HLen(t.Context(), saleKey("1", "buyers")).Result(); err != nil || n != 2000 {
			t.Errorf("buyers has %d fields, %v", n, err)
		}
		if n, err := k.raw.Exists(t.Context(), saleKey("1", "held"), saleKey("1", "outbox")).Result(); err != nil || n != 0 {
			t.Errorf("%d keys of what is held, %v", n, err)
		}
	}
}

// What was not sold as it should be ends the run.
func TestStockIsChecked(t *testing.T) {
	t.Parallel()
	k := newStock(t)
	if err := k.open(t.Context(), "1", 20, 5); err != nil {
		t.Fatal(err)
	}
	if err := k.knows(t.Context(), "1", "1.another"); err == nil {
		t.Error("another order is taken for the first user's")
	}
	var sum soldOut
	if err := k.sellOut(t.Context(), "2", 100, &sum); err != nil || sum.reservations != 128 || sum.took <= 0 || sum.inside <= 0 {
		t.Errorf("%+v, %v", sum, err)
	}
	if n, err := k.raw.Exists(t.Context(), saleKey("2", "head"), saleKey("2", "buyers")).Result(); err != nil || n != 0 {
		t.Errorf("%d keys are left, %v", n, err)
	}
	if err := k.open(t.Context(), "3", 100, 0); err != nil {
		t.Fatal(err)
	}
	if err := k.sellOut(t.Context(), "3", 100, &sum); err == nil {
		t.Error("a sale is opened twice")
	}
}
