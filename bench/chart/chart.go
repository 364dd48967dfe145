// Package chart draws the plots of docs/ as SVG: one look for all of them. bench/scale
// and bench/history call it.
package chart

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
	width  = 16 * vg.Centimeter
	height = 10 * vg.Centimeter
	margin = 3 * vg.Millimeter
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

// Series is how many series can be told apart.
var Series = len(colours)

// Colour is that of the i-th series.
func Colour(i int) color.Color { return colours[i%len(colours)] }

// New is an empty plot with a logarithmic y axis. The legend is at the left, as fonts
// differ in how far the names go to the right.
func New(title, x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.White
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.Padding = vg.Points(6)
	for _, style := range []*font.Font{&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font,
		&p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font} {
		style.Variant = "Sans"
	}
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.TickerFunc(decades)
	p.Legend.Top, p.Legend.Left, p.Legend.Padding = true, true, vg.Points(2)
	p.Legend.XOffs, p.Legend.YOffs = vg.Points(8), -vg.Points(14)
	p.Add(plotter.NewGrid())
	return p
}

// Line adds the i-th series, with its name in the legend.
func Line(p *plot.Plot, i int, name string, points plotter.XYer) error {
	line, dots, err := plotter.NewLinePoints(points)
	if err != nil {
		return err
	}
	line.Color, line.Width = Colour(i), vg.Points(1.5)
	dots.Color, dots.Shape, dots.Radius = Colour(i), shapes[i%len(shapes)], vg.Points(3)
	p.Add(line, dots)
	p.Legend.Add(name, line, dots)
	return nil
}

// Room widens the y axis around values above nought to powers of ten, which the ticks are
// at, and by one more at the top where the legend would cover the lines.
func Room(p *plot.Plot, least, most float64) {
	low, high := math.Pow(10, math.Floor(math.Log10(least))), math.Pow(10, math.Ceil(math.Log10(most)))
	if high < 3*most || high <= low {
		high *= 10
	}
	p.Y.Min, p.Y.Max = low, high
}

// Save leaves a margin, which also holds half of the last label of the x axis.
func Save(p *plot.Plot, path string) error {
	svg := vgsvg.New(width, height)
	all := draw.New(svg)
	all.SetColor(color.White)
	all.Fill(all.Rectangle.Path())
	p.Draw(draw.Crop(all, margin, -2*margin, margin, -margin))
	var b bytes.Buffer
	if _, err := svg.WriteTo(&b); err != nil {
		return err
	}
	// A reader without the font that was measured with gets one like it.
	text := strings.ReplaceAll(b.String(), "font-family:Liberation Sans;", "font-family:Liberation Sans,Arial,Helvetica,sans-serif;")
	return os.WriteFile(path, []byte(text), 0o644)
}

// decades are ticks at powers of ten, with small ones in between.
func decades(least, most float64) (ticks []plot.Tick) {
	for decade := math.Pow(10, math.Floor(math.Log10(least))); decade <= most*1.001; decade *= 10 {
		ticks = append(ticks, plot.Tick{Value: decade, Label: Thousands(decade)})
		for i := 2.0; i < 10 && decade*i <= most; i++ {
			ticks = append(ticks, plot.Tick{Value: decade * i})
		}
	}
	return ticks
}

// Thousands writes a number with commas; below one with its decimals.
func Thousands(v float64) string {
	if v < 1 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	s := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
