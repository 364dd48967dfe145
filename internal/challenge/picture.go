package challenge

import (
	"image"
	"image/color"
	"math"
	"math/rand/v2"
)

// The picture's measures, in pixels.
const (
	width, height = 300, 80

	glyphHeight = 36.0
	glyphWidth  = 23.0
	digitGap    = 8.0  // between two digits of a number
	signGap     = 11.0 // beside an operator

	noiseLines = 3
	noiseDots  = 45
)

// shades is the number of steps from the ground to the ink. Sixteen fit in four
// bits a pixel.
const shades = 16

// picture is a drawing in one ink. Text and noise share its shades, so that no
// colour tells them apart.
type picture struct {
	image *image.Paletted
	rng   *rand.Rand
	bend  func(point) point // the wave that the whole line of text follows
}

// drawPicture writes text across a picture and puts noise over it.
func drawPicture(text string, rng *rand.Rand) *image.Paletted {
	p := newPicture(rng)
	p.write(text)
	p.scribble()
	return p.image
}

func newPicture(rng *rand.Rand) *picture {
	p := &picture{
		image: image.NewPaletted(image.Rect(0, 0, width, height), palette(rng)),
		rng:   rng,
	}
	p.bend = wave(
		p.between(1.5, 2.5), p.between(45, 75), p.between(0, 2*math.Pi),
		p.between(2.5, 5), p.between(90, 170), p.between(0, 2*math.Pi),
	)
	return p
}

// palette blends a nearly white ground into a dark ink. Even the lightest ink
// stands out from the ground by more than 4.5 to 1 (WCAG 2.2, criterion 1.4.3).
func palette(rng *rand.Rand) color.Palette {
	var ground, ink [3]int
	for i := range ground {
		ground[i] = 244 + rng.IntN(10)
		ink[i] = rng.IntN(105)
	}
	colors := make(color.Palette, shades)
	for s := range colors {
		var c [3]uint8
		for i := range c {
			c[i] = uint8(ground[i] + (ink[i]-ground[i])*s/(shades-1))
		}
		colors[s] = color.RGBA{c[0], c[1], c[2], 0xff}
	}
	return colors
}

// wave moves a point to and fro along both axes, by an amplitude, a period and a
// phase each.
func wave(ax, px, fx, ay, py, fy float64) func(point) point {
	return func(at point) point {
		return point{
			at.x + ax*math.Sin(at.y*2*math.Pi/px+fx),
			at.y + ay*math.Sin(at.x*2*math.Pi/py+fy),
		}
	}
}

// write draws text in the middle of the picture, give or take a few pixels.
func (p *picture) write(text string) {
	runes := []rune(text)
	total := 0.0
	for i := range runes {
		total += gap(runes, i) + glyphWidth
	}
	slack := width - total
	x := slack/2 + p.between(-slack/4, slack/4)
	y := (height-glyphHeight)/2 + p.between(-4, 4)
	for i, r := range runes {
		x += gap(runes, i)
		p.glyph(glyphs[r], point{x, y + p.between(-3, 3)})
		x += glyphWidth
	}
}

// gap is the space in front of a character.
func gap(runes []rune, i int) float64 {
	switch {
	case i == 0:
		return 0
	case isDigit(runes[i]) && isDigit(runes[i-1]):
		return digitGap
	default:
		return signGap
	}
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

// glyph draws a character with its top left corner at a place, turned, slanted and
// scaled a little about its middle. The turn is too small to make a × of a +; the
// slant is to the right, since a seven that leans to the left reads as a one.
func (p *picture) glyph(g glyph, at point) {
	sin, cos := math.Sincos(p.between(-11, 11) * math.Pi / 180)
	slant := p.between(-.04, .24)
	w, h := glyphWidth*p.between(.92, 1.1), glyphHeight*p.between(.92, 1.1)
	radius := p.between(1.7, 2.3)
	middle := point{at.x + glyphWidth/2, at.y + glyphHeight/2}
	for _, line := range g {
		placed := make([]point, len(line))
		for i, q := range line {
			dy := (q.y - .5) * h
			dx := (q.x-.5)*w - slant*dy
			placed[i] = point{middle.x + dx*cos - dy*sin, middle.y + dx*sin + dy*cos}
		}
		p.line(placed, radius, p.bend)
	}
}

// scribble puts noise over the text: lines from side to side, thinner than the
// pen of the text, and dots.
func (p *picture) scribble() {
	for range noiseLines {
		bend := wave(0, 1, 0, p.between(6, 16), p.between(80, 200), p.between(0, 2*math.Pi))
		line := []point{{0, p.between(14, height-14)}, {width, p.between(14, height-14)}}
		p.line(line, p.between(.45, .75), bend)
	}
	for range noiseDots {
		p.dot(point{p.between(0, width), p.between(0, height)}, p.between(.5, 1.4))
	}
}

// line draws a pen's way along points, bent.
func (p *picture) line(points []point, radius float64, bend func(point) point) {
	const step = .7 // pixels: less than a pen's radius, so that no gaps show
	for i := 1; i < len(points); i++ {
		a, b := points[i-1], points[i]
		n := max(int(math.Hypot(b.x-a.x, b.y-a.y)/step), 1)
		for j := range n + 1 {
			t := float64(j) / float64(n)
			p.dot(bend(point{a.x + (b.x-a.x)*t, a.y + (b.y-a.y)*t}), radius)
		}
	}
}

// dot darkens a disc with a soft edge. Ink on ink stays ink.
func (p *picture) dot(at point, radius float64) {
	reach := radius + .5
	for y := max(int(at.y-reach), 0); y <= min(int(at.y+reach), height-1); y++ {
		dy := float64(y) + .5 - at.y
		for x := max(int(at.x-reach), 0); x <= min(int(at.x+reach), width-1); x++ {
			dx := float64(x) + .5 - at.x
			cover := min(max(reach-math.Sqrt(dx*dx+dy*dy), 0), 1)
			pixel := &p.image.Pix[y*p.image.Stride+x]
			*pixel = max(*pixel, uint8(cover*(shades-1)+.5))
		}
	}
}

// between is a number from low up to high.
func (p *picture) between(low, high float64) float64 {
	return low + (high-low)*p.rng.Float64()
}
