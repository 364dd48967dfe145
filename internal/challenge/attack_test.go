package challenge_test

import (
	"image"
	"image/color"
	"slices"
)

// What somebody who wants to read the pictures by machine would do to them first.
// All of it works on gray pictures, 0 for ink and 255 for ground.

// trick is one way to prepare a picture. It gives one picture to read as a line, or
// several to read as a character each.
type trick struct {
	name string
	do   func(*image.Paletted) []*image.Gray
	psm  string // Tesseract's page segmentation mode
}

var tricks = []trick{
	{"as it is", line(toGray), "7"},
	{"as it is, one word", line(toGray), "8"},
	{"palette split", line(paletteSplit), "7"},
	{"threshold", line(func(p *image.Paletted) *image.Gray { return otsu(toGray(p)) }), "7"},
	{"median", line(func(p *image.Paletted) *image.Gray { return otsu(median(median(toGray(p), 1), 1)) }), "7"},
	{"thin lines rubbed out", line(func(p *image.Paletted) *image.Gray { return rubbed(otsu(toGray(p)), 1) }), "7"},
	{"thin lines and specks rubbed out, one word", line(cleaned), "8"},
	{"local threshold", line(func(p *image.Paletted) *image.Gray { return local(toGray(p), 12) }), "7"},
	{"polarity undone", line(func(p *image.Paletted) *image.Gray { return rubbed(unflipped(otsu(toGray(p)), 10), 1) }), "7"},
	{"segmented", func(p *image.Paletted) []*image.Gray { return segments(cleaned(p)) }, "10"},
}

// line makes a trick of a preparation whose picture is read as a whole.
func line(f func(*image.Paletted) *image.Gray) func(*image.Paletted) []*image.Gray {
	return func(p *image.Paletted) []*image.Gray { return []*image.Gray{scale(f(p), 2)} }
}

func cleaned(p *image.Paletted) *image.Gray { return despeckled(rubbed(otsu(toGray(p)), 1), 40) }

// toGray puts a picture on white: a page behind a transparent one.
func toGray(p *image.Paletted) *image.Gray {
	shades := make([]uint8, len(p.Palette))
	for i, c := range p.Palette {
		r, g, b, a := c.RGBA()
		white := 0xffff - a
		shades[i] = color.GrayModel.Convert(color.RGBA64{uint16(r + white), uint16(g + white), uint16(b + white), 0xffff}).(color.Gray).Y
	}
	g := image.NewGray(p.Bounds())
	for y := range p.Bounds().Dy() {
		for x := range p.Bounds().Dx() {
			g.Pix[y*g.Stride+x] = shades[p.ColorIndexAt(x, y)]
		}
	}
	return g
}

// paletteSplit keeps what is in the one index that has the most pixels beside the
// ground: in pictures that are drawn without care it is the text alone.
func paletteSplit(p *image.Paletted) *image.Gray {
	var n [256]int
	for _, i := range p.Pix {
		n[i]++
	}
	ground := slices.Index(n[:], slices.Max(n[:]))
	n[ground] = 0
	text := uint8(slices.Index(n[:], slices.Max(n[:])))
	g := image.NewGray(p.Bounds())
	for i, index := range p.Pix {
		if index != text {
			g.Pix[i] = 255
		}
	}
	return g
}

// mapped makes a picture of the same size, pixel by pixel.
func mapped(g *image.Gray, f func(x, y int) uint8) *image.Gray {
	out := image.NewGray(g.Bounds())
	for y := range g.Bounds().Dy() {
		for x := range g.Bounds().Dx() {
			out.Pix[y*out.Stride+x] = f(x, y)
		}
	}
	return out
}

// at is a pixel; outside there is ground.
func at(g *image.Gray, x, y int) uint8 {
	if !(image.Point{x, y}).In(g.Bounds()) {
		return 255
	}
	return g.Pix[y*g.Stride+x]
}

// otsu thresholds a picture where the two classes differ the most (Otsu 1979).
func otsu(g *image.Gray) *image.Gray {
	var n [256]float64
	all, sum := float64(len(g.Pix)), 0.0
	for _, v := range g.Pix {
		n[v]++
		sum += float64(v)
	}
	best, threshold := -1.0, 0
	below, belowSum := 0.0, 0.0
	for v := range 255 {
		below += n[v]
		belowSum += float64(v) * n[v]
		if below == 0 || below == all {
			continue
		}
		d := belowSum/below - (sum-belowSum)/(all-below)
		if between := below * (all - below) * d * d; between > best {
			best, threshold = between, v
		}
	}
	return mapped(g, func(x, y int) uint8 {
		if int(at(g, x, y)) <= threshold {
			return 0
		}
		return 255
	})
}

// ranked replaces each pixel by one of its neighbourhood, by its place in order: 0 is
// the darkest (dilates ink), 1 the lightest (erodes it), .5 the median.
func ranked(g *image.Gray, radius int, rank float64) *image.Gray {
	around := make([]uint8, 0, (2*radius+1)*(2*radius+1))
	return mapped(g, func(x, y int) uint8 {
		around = around[:0]
		for dy := -radius; dy <= radius; dy++ {
			for dx := -radius; dx <= radius; dx++ {
				around = append(around, at(g, x+dx, y+dy))
			}
		}
		slices.Sort(around)
		return around[int(rank*float64(len(around)-1))]
	})
}

func median(g *image.Gray, radius int) *image.Gray { return ranked(g, radius, .5) }

// rubbed opens the ink: what is thinner than the neighbourhood goes.
func rubbed(g *image.Gray, radius int) *image.Gray {
	return ranked(ranked(g, radius, 1), radius, 0)
}

// local thresholds against the mean of the neighbourhood (Bradley and Roth 2007).
func local(g *image.Gray, radius int) *image.Gray {
	mean := blurred(g, radius)
	return mapped(g, func(x, y int) uint8 {
		if int(at(g, x, y))*100 < int(mean.Pix[y*mean.Stride+x])*85 {
			return 0
		}
		return 255
	})
}

// unflipped takes back that some areas are light on dark: where most of the
// neighbourhood is dark, ink is light.
func unflipped(g *image.Gray, radius int) *image.Gray {
	mean := blurred(g, radius)
	return mapped(g, func(x, y int) uint8 {
		if mean.Pix[y*mean.Stride+x] < 110 {
			return 255 - at(g, x, y)
		}
		return at(g, x, y)
	})
}

func blurred(g *image.Gray, radius int) *image.Gray {
	w, h := g.Bounds().Dx(), g.Bounds().Dy()
	sums := make([]int, (w+1)*(h+1))
	for y := range h {
		for x := range w {
			sums[(y+1)*(w+1)+x+1] = int(g.Pix[y*g.Stride+x]) + sums[y*(w+1)+x+1] + sums[(y+1)*(w+1)+x] - sums[y*(w+1)+x]
		}
	}
	return mapped(g, func(x, y int) uint8 {
		x0, x1, y0, y1 := max(x-radius, 0), min(x+radius+1, w), max(y-radius, 0), min(y+radius+1, h)
		sum := sums[y1*(w+1)+x1] - sums[y0*(w+1)+x1] - sums[y1*(w+1)+x0] + sums[y0*(w+1)+x0]
		return uint8(sum / ((x1 - x0) * (y1 - y0)))
	})
}

// blob is a connected piece of ink.
type blob struct {
	box    image.Rectangle
	pixels []image.Point
}

// blobs finds the pieces, from left to right.
func blobs(g *image.Gray) []blob {
	seen := make([]bool, len(g.Pix))
	var out []blob
	for y := range g.Bounds().Dy() {
		for x := range g.Bounds().Dx() {
			if seen[y*g.Stride+x] || g.Pix[y*g.Stride+x] != 0 {
				continue
			}
			var b blob
			seen[y*g.Stride+x] = true
			for todo := []image.Point{{x, y}}; len(todo) > 0; {
				p := todo[len(todo)-1]
				todo = todo[:len(todo)-1]
				b.pixels = append(b.pixels, p)
				b.box = b.box.Union(image.Rect(p.X, p.Y, p.X+1, p.Y+1))
				for dy := -1; dy <= 1; dy++ {
					for dx := -1; dx <= 1; dx++ {
						if q := p.Add(image.Pt(dx, dy)); q.In(g.Bounds()) && !seen[q.Y*g.Stride+q.X] && g.Pix[q.Y*g.Stride+q.X] == 0 {
							seen[q.Y*g.Stride+q.X] = true
							todo = append(todo, q)
						}
					}
				}
			}
			out = append(out, b)
		}
	}
	slices.SortFunc(out, func(a, b blob) int { return a.box.Min.X - b.box.Min.X })
	return out
}

// despeckled wipes out pieces of less than size pixels.
func despeckled(g *image.Gray, size int) *image.Gray {
	out := mapped(g, func(x, y int) uint8 { return at(g, x, y) })
	for _, b := range blobs(g) {
		if len(b.pixels) < size {
			for _, p := range b.pixels {
				out.Pix[p.Y*out.Stride+p.X] = 255
			}
		}
	}
	return out
}

// segments cuts a picture into its pieces of ink, and wide ones into equal parts.
func segments(g *image.Gray) []*image.Gray {
	const widest, margin = 36, 8
	var out []*image.Gray
	for _, b := range blobs(g) {
		if len(out) >= 14 { // nothing that can be read has so many
			break
		}
		parts := (b.box.Dx() + widest - 1) / widest
		for i := range parts {
			left, right := b.box.Min.X+b.box.Dx()*i/parts, b.box.Min.X+b.box.Dx()*(i+1)/parts
			cut := image.NewGray(image.Rect(0, 0, right-left+2*margin, b.box.Dy()+2*margin))
			for j := range cut.Pix {
				cut.Pix[j] = 255
			}
			for _, p := range b.pixels {
				if left <= p.X && p.X < right {
					cut.Pix[(p.Y-b.box.Min.Y+margin)*cut.Stride+p.X-left+margin] = 0
				}
			}
			out = append(out, scale(cut, 2))
		}
	}
	return out
}

// scale enlarges a picture, between its pixels evenly.
func scale(g *image.Gray, n int) *image.Gray {
	w, h := g.Bounds().Dx(), g.Bounds().Dy()
	out := image.NewGray(image.Rect(0, 0, w*n, h*n))
	for y := range h * n {
		for x := range w * n {
			fx, fy := max(float64(x)/float64(n)-.25, 0), max(float64(y)/float64(n)-.25, 0)
			x0, y0 := int(fx), int(fy)
			x1, y1 := min(x0+1, w-1), min(y0+1, h-1)
			dx, dy := fx-float64(x0), fy-float64(y0)
			top := float64(at(g, x0, y0))*(1-dx) + float64(at(g, x1, y0))*dx
			bottom := float64(at(g, x0, y1))*(1-dx) + float64(at(g, x1, y1))*dx
			out.Pix[y*out.Stride+x] = uint8(top*(1-dy) + bottom*dy + .5)
		}
	}
	return out
}
