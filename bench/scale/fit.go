package main

import (
	"fmt"
	"math"
)

// growth is how a series grows with x: Slope is that of the least-squares line through
// log y over log x, so y grows as x to the power of it.
type growth struct {
	Name  string  `json:"name"`
	Slope float64 `json:"slope"`
	From  float64 `json:"from"` // the least x that it speaks of
}

// Bounds of the names.
const (
	flatSlope  = 0.05 // at most a factor of 1.12 when x grows tenfold
	flatSpread = 1.25 // of the largest point to the least
	nearlyOne  = 0.12 // linear: a slope of one, give or take
)

// fit names the growth of points. Two points are the least that can grow.
func fit(points []point) growth {
	if len(points) < 2 {
		return growth{Name: "not known"}
	}
	xs, ys, logs := make([]float64, len(points)), make([]float64, len(points)), make([]float64, len(points))
	least, most := math.Inf(1), math.Inf(-1)
	for i, p := range points {
		xs[i], ys[i], logs[i] = math.Log(p.X), p.Median, math.Log(p.Median)
		least, most = min(least, p.Median), max(most, p.Median)
	}
	offset, slope := line(xs, logs)
	g := growth{Slope: slope, From: points[0].X}
	a, b := line(xs, ys)
	power := misfit(ys, func(i int) float64 { return math.Exp(offset + slope*xs[i]) })
	logarithm := misfit(ys, func(i int) float64 { return a + b*xs[i] })
	switch {
	case math.Abs(slope) < flatSlope || most <= flatSpread*least:
		g.Name = "constant"
	case math.Abs(slope-1) <= nearlyOne:
		g.Name = "linear"
	case slope > 0 && slope < 0.5 && logarithm < power:
		g.Name = "logarithmic"
	case slope > 0:
		g.Name = fmt.Sprintf("as x^%.2f", slope)
	default:
		g.Name = fmt.Sprintf("falls as x^%.2f", slope)
	}
	return g
}

// line is the least-squares line through the points.
func line(xs, ys []float64) (offset, slope float64) {
	n := float64(len(xs))
	var x, y, xx, xy float64
	for i := range xs {
		x, y, xx, xy = x+xs[i], y+ys[i], xx+xs[i]*xs[i], xy+xs[i]*ys[i]
	}
	slope = (n*xy - x*y) / (n*xx - x*x)
	return (y - slope*x) / n, slope
}

// misfit sums the squares of what a model is off, as a part of what was measured.
func misfit(ys []float64, model func(i int) float64) (sum float64) {
	for i, y := range ys {
		sum += math.Pow((model(i)-y)/y, 2)
	}
	return sum
}

// growth says both: what is true of all points, and of the upper ones alone where that
// is something else.
func (s *series) growth() string {
	text := fmt.Sprintf("%s (slope %+.2f)", s.All.Name, s.All.Slope)
	if s.End.Name != s.All.Name && len(s.Points) > 3 {
		text += fmt.Sprintf("; from %.0f on %s (slope %+.2f)", s.End.From, s.End.Name, s.End.Slope)
	}
	return text
}
