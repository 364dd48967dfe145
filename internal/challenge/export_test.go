package challenge

import (
	"image"
	"math/rand/v2"
)

// DrawFormula draws a formula with the chance that below gives.
func DrawFormula(below func(n int) int) (text string, answer int) {
	f := drawFormula(below)
	return f.text, f.answer
}

// DrawPicture draws text with noise, DrawText without.
func DrawPicture(text string, rng *rand.Rand) *image.Paletted { return drawPicture(text, rng) }

func DrawText(text string, rng *rand.Rand) *image.Paletted {
	p := newPicture(rng)
	p.write(text)
	return p.image(palette(rng))
}

// DrawDigits draws the digits of a challenge.
func DrawDigits(rng *rand.Rand) string { return drawDigits(rng) }

// HasGlyph reports whether a character can be drawn.
func HasGlyph(r rune) bool { return len(glyphs[r]) > 0 }

// Room reports whether a pool is not full yet.
func (p *Pool) Room() bool {
	_, ok := p.wanted()
	return ok
}
