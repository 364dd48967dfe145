package main

import (
	"math"

	"flashgate/bench/chart"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

// draw writes the figure as SVG: medians, with bars from the least to the most.
func (f *figure) draw(path string) error {
	p := chart.New(f.Title, f.X, f.Y)
	p.X.Scale = plot.LogScale{}
	least, most := math.Inf(1), math.Inf(-1)
	for i, s := range f.Series {
		if err := s.plot(p, i); err != nil {
			return err
		}
		for _, point := range s.Points {
			least, most = min(least, point.Min), max(most, point.Max)
		}
	}
	p.X.Tick.Marker = f.ticks()
	chart.Room(p, least, most)
	return chart.Save(p, path)
}

func (s *series) plot(p *plot.Plot, i int) error {
	var data errorPoints
	for _, point := range s.Points {
		data.XYs = append(data.XYs, plotter.XY{X: point.X, Y: point.Median})
		data.YErrors = append(data.YErrors, struct{ Low, High float64 }{point.Median - point.Min, point.Max - point.Median})
	}
	bars, err := plotter.NewYErrorBars(data)
	if err != nil {
		return err
	}
	bars.Color = chart.Colour(i)
	p.Add(bars)
	return chart.Line(p, i, s.Name, data.XYs)
}

type errorPoints struct {
	plotter.XYs
	plotter.YErrors
}

// ticks are at the points that were measured.
func (f *figure) ticks() plot.Ticker {
	var ticks plot.ConstantTicks
	for _, x := range f.xs() {
		ticks = append(ticks, plot.Tick{Value: x, Label: chart.Thousands(x)})
	}
	return ticks
}
