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

	glyphHeight = 42.0
	glyphWidth  = 26.0

	noiseLines = 2
	noiseDots  = 24
	areas      = 2 // of the picture, that are light on dark
)

// shades is the number of steps from the ground to the ink. Sixteen fit in four
// bits a pixel.
const shades = 16

// layer is how much of each pixel is covered, 0 to 255.
type layer [width * height]uint8

// picture is a drawing in one ink: no colour tells text, noise and ground apart.
//
// What makes it hard to read by machine is drawn on purpose like this: noise is as
// wide as the text's pen, so rubbing out thin lines takes the text with it; where noise
// and text cross, and in whole areas, ink and ground change places, so that no
// threshold tells them apart and no piece of ink is a character; characters touch, and
// follow one bent line. A reader's eye goes along the strokes and minds none of that.
type picture struct {
	ink  layer
	rng  *rand.Rand
	bend func(point) point // the wave that the whole line of text follows
}

// drawPicture writes text across a picture and puts noise over it. The same text and
// the same chance give the same picture.
func drawPicture(text string, rng *rand.Rand) *image.Paletted {
	p := newPicture(rng)
	p.write(text)
	p.scribble()
	return p.image(palette(rng))
}

func newPicture(rng *rand.Rand) *picture {
	p := &picture{rng: rng}
	p.bend = wave(
		p.between(1.5, 3.5), p.between(45, 75), p.between(0, 2*math.Pi),
		p.between(3, 5), p.between(90, 170), p.between(0, 2*math.Pi),
	)
	return p
}

// palette blends a nearly white ground into a dark ink. Even the lightest ink
// stands out from the ground by more than 4.5 to 1 (WCAG 2.2, criterion 1.4.3).
func palette(rng *rand.Rand) color.Palette {
	var ground, ink [3]int
	for i := range ground {
		ground[i] = 244 + rng.IntN(10)
		ink[i] = rng.IntN(80)
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

// image is the picture in its colours.
func (p *picture) image(colors color.Palette) *image.Paletted {
	img := image.NewPaletted(image.Rect(0, 0, width, height), colors)
	for i, covered := range p.ink {
		img.Pix[i] = covered / (256 / shades)
	}
	return img
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
	gaps := make([]float64, len(runes))
	total := 0.0
	for i := range runes {
		gaps[i] = p.gap(runes, i)
		total += gaps[i] + glyphWidth
	}
	slack := width - total
	x := slack/2 + p.between(-slack/4, slack/4)
	y := (height-glyphHeight)/2 + p.between(-2, 2)
	for i, r := range runes {
		x += gaps[i]
		p.glyph(glyphs[r], point{x, y + p.between(-4, 4)})
		x += glyphWidth
	}
}

// gap is the space in front of a character: digits of a number just touch, more or
// less, and signs stand a little apart.
func (p *picture) gap(runes []rune, i int) float64 {
	switch {
	case i == 0:
		return 0
	case isDigit(runes[i]) && isDigit(runes[i-1]):
		return p.between(2, 6)
	default:
		return p.between(3, 7)
	}
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

// glyph draws a character with its top left corner at a place, turned, slanted and
// scaled a little about its middle. The turn is too small to make a × of a +; the
// slant is to the right, since a seven that leans to the left reads as a one.
func (p *picture) glyph(g glyph, at point) {
	sin, cos := math.Sincos(p.between(-12, 12) * math.Pi / 180)
	slant := p.between(-.04, .24)
	w, h := glyphWidth*p.between(.86, 1.1), glyphHeight*p.between(.86, 1.1)
	radius := p.between(2.1, 2.6)
	middle := point{at.x + glyphWidth/2, at.y + glyphHeight/2}
	for _, line := range g {
		placed := make([]point, len(line))
		for i, q := range line {
			dy := (q.y - .5) * h
			dx := (q.x-.5)*w - slant*dy
			placed[i] = point{middle.x + dx*cos - dy*sin, middle.y + dx*sin + dy*cos}
		}
		p.ink.line(placed, radius, p.bend)
	}
}

// scribble puts noise over the text: lines from side to side, as wide as the pen of
// the text, dots, and areas with bent borders. Whatever is under it changes places
// with the ground.
func (p *picture) scribble() {
	for i := range noiseLines {
		var over layer
		bend := wave(0, 1, 0, p.between(7, 16), p.between(70, 190), p.between(0, 2*math.Pi))
		middle := height * (float64(i) + .5) / noiseLines
		line := []point{{-2, middle + p.between(-12, 12)}, {width + 2, middle + p.between(-12, 12)}}
		over.line(line, p.between(1, 1.5), bend)
		p.flip(&over)
	}
	var dots layer
	for range noiseDots {
		dots.dot(point{p.between(0, width), p.between(0, height)}, p.between(.7, 2))
	}
	p.flip(&dots)
	var dark layer
	for range areas {
		p.area(&dark)
	}
	p.flip(&dark)
}

// area covers a bent band from top to bottom, or from side to side.
func (p *picture) area(over *layer) {
	at, broad, lean := p.between(0, width), p.between(60, 110), p.between(-.9, .9)
	amplitude, period, phase := p.between(3, 7), p.between(40, 80), p.between(0, 2*math.Pi)
	for y := range height {
		fy := float64(y)
		left := at + lean*(fy-height/2) + amplitude*math.Sin(fy*2*math.Pi/period+phase)
		right := left + broad + amplitude*math.Sin(fy*2*math.Pi/period*1.3+phase*2)
		for x := max(int(left), 0); x < min(int(right), width); x++ {
			over[y*width+x] ^= 0xff
		}
	}
}

// flip changes ink and ground where over covers the picture.
func (p *picture) flip(over *layer) {
	for i, b := range over {
		if b != 0 {
			a, b := int(p.ink[i]), int(b)
			p.ink[i] = uint8((a*(255-b) + b*(255-a) + 127) / 255)
		}
	}
}

// line draws a pen's way along points, bent.
func (l *layer) line(points []point, radius float64, bend func(point) point) {
	const step = 1.1 // pixels: less than a pen's radius, so that no gaps show
	for i := 1; i < len(points); i++ {
		a, b := points[i-1], points[i]
		n := max(int(math.Hypot(b.x-a.x, b.y-a.y)/step), 1)
		for j := range n + 1 {
			t := float64(j) / float64(n)
			l.dot(bend(point{a.x + (b.x-a.x)*t, a.y + (b.y-a.y)*t}), radius)
		}
	}
}

// dot covers a disc with a soft edge. Ink on ink stays ink.
func (l *layer) dot(at point, radius float64) {
	reach := radius + .5
	for y := max(int(at.y-reach), 0); y <= min(int(at.y+reach), height-1); y++ {
		dy := float64(y) + .5 - at.y
		for x := max(int(at.x-reach), 0); x <= min(int(at.x+reach), width-1); x++ {
			dx := float64(x) + .5 - at.x
			d := dx*dx + dy*dy
			if d >= reach*reach {
				continue
			}
			cover := min(reach-math.Sqrt(d), 1)
			pixel := &l[y*width+x]
			*pixel = max(*pixel, uint8(cover*255+.5))
		}
	}
}

// between is a number from low up to high.
func (p *picture) between(low, high float64) float64 {
	return low + (high-low)*p.rng.Float64()
}
