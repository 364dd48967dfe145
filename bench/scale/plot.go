package main

import (
	"bytes"
	"image/color"
	"math"
	"os"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Size of a plot, and its colours: those of Okabe and Ito, which also the colour-blind
// can tell apart. The background is white, on dark pages too.
const (
	plotWidth  = 16 * vg.Centimeter
	plotHeight = 10 * vg.Centimeter
	plotMargin = 3 * vg.Millimeter
)

var colours = []color.Color{
	color.RGBA{R: 0x00, G: 0x72, B: 0xb2, A: 0xff},
	color.RGBA{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff},
	color.RGBA{R: 0x00, G: 0x9e, B: 0x73, A: 0xff},
	color.RGBA{R: 0xcc, G: 0x79, B: 0xa7, A: 0xff},
	color.RGBA{R: 0x56, G: 0xb4, B: 0xe9, A: 0xff},
	color.RGBA{R: 0x00, G: 0x00, B: 0x00, A: 0xff},
}

var shapes = []draw.GlyphDrawer{
	draw.CircleGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}, draw.PyramidGlyph{}, draw.RingGlyph{}, draw.CrossGlyph{},
}

// draw writes the figure as SVG: medians, with bars from the least to the most.
func (f *figure) draw(path string) error {
	p := plot.New()
	p.BackgroundColor = color.White
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = f.Title, f.X, f.Y
	p.Title.Padding = vg.Points(6)
	for _, style := range []*font.Font{&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font,
		&p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font} {
		style.Variant = "Sans"
	}
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.Add(plotter.NewGrid())
	least, most := math.Inf(1), math.Inf(-1)
	for i, s := range f.Series {
		if err := s.plot(p, i); err != nil {
			return err
		}
		for _, point := range s.Points {
			least, most = min(least, point.Min), max(most, point.Max)
		}
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = f.ticks(), plot.TickerFunc(decades)
	p.Y.Min, p.Y.Max = room(least, most)
	// At the left, as fonts differ in how far the names go to the right.
	p.Legend.Top, p.Legend.Left, p.Legend.Padding = true, true, vg.Points(2)
	p.Legend.XOffs, p.Legend.YOffs = vg.Points(8), -vg.Points(14)
	return save(p, path)
}

// save leaves a margin, which also holds half of the last label of the x axis.
func save(p *plot.Plot, path string) error {
	svg := vgsvg.New(plotWidth, plotHeight)
	all := draw.New(svg)
	all.SetColor(color.White)
	all.Fill(all.Rectangle.Path())
	p.Draw(draw.Crop(all, plotMargin, -2*plotMargin, plotMargin, -plotMargin))
	var b bytes.Buffer
	if _, err := svg.WriteTo(&b); err != nil {
		return err
	}
	// A reader without the font that was measured with gets one like it.
	text := strings.ReplaceAll(b.String(), "font-family:Liberation Sans;", "font-family:Liberation Sans,Arial,Helvetica,sans-serif;")
	return os.WriteFile(path, []byte(text), 0o644)
}

func (s *series) plot(p *plot.Plot, i int) error {
	var data errorPoints
	for _, point := range s.Points {
		data.XYs = append(data.XYs, plotter.XY{X: point.X, Y: point.Median})
		data.YErrors = append(data.YErrors, struct{ Low, High float64 }{point.Median - point.Min, point.Max - point.Median})
	}
	line, dots, err := plotter.NewLinePoints(data.XYs)
	if err != nil {
		return err
	}
	bars, err := plotter.NewYErrorBars(data)
	if err != nil {
		return err
	}
	colour := colours[i%len(colours)]
	line.Color, line.Width = colour, vg.Points(1.5)
	dots.Color, dots.Shape, dots.Radius = colour, shapes[i%len(shapes)], vg.Points(3)
	bars.Color = colour
	p.Add(line, bars, dots)
	p.Legend.Add(s.Name, line, dots)
	return nil
}

type errorPoints struct {
	plotter.XYs
	plotter.YErrors
}

// room widens the y axis to powers of ten, which the ticks are at, and by one more at the
// top where the legend would cover the lines.
func room(least, most float64) (low, high float64) {
	low, high = math.Pow(10, math.Floor(math.Log10(least))), math.Pow(10, math.Ceil(math.Log10(most)))
	if high < 3*most || high <= low {
		high *= 10
	}
	return low, high
}

// ticks are at the points that were measured.
func (f *figure) ticks() plot.Ticker {
	var ticks plot.ConstantTicks
	for _, x := range f.xs() {
		ticks = append(ticks, plot.Tick{Value: x, Label: thousands(x)})
	}
	return ticks
}

// decades are ticks at powers of ten, with small ones in between.
func decades(least, most float64) (ticks []plot.Tick) {
	for decade := math.Pow(10, math.Floor(math.Log10(least))); decade <= most*1.001; decade *= 10 {
		ticks = append(ticks, plot.Tick{Value: decade, Label: thousands(decade)})
		for i := 2.0; i < 10 && decade*i <= most; i++ {
			ticks = append(ticks, plot.Tick{Value: decade * i})
		}
	}
	return ticks
}

// thousands writes a number with commas; below one with its decimals.
func thousands(v float64) string {
	if v < 1 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	s := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
