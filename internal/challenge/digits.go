package challenge

import "math/rand/v2"

// digitCount is how many digits a challenge has, drawn or spoken: a blind guess passes
// once in a million.
const digitCount = 6

// Digits is the Kind whose images and sounds are six digits.
type Digits struct{ painter }

// NewDigits makes a Digits. Its buffers are its own; a process needs one.
func NewDigits() *Digits { return &Digits{newPainter()} }

// Image draws six digits as a PNG of 300 × 80 pixels, opaque, so that they can be read
// on white and on dark pages. The answer may start with zeros and keeps them.
func (d *Digits) Image(seed Seed) (Challenge, error) {
	rng := newRand(seed)
	text := drawDigits(rng)
	return d.paint(seed, text, text, rng)
}

// Audio speaks six digits.
func (*Digits) Audio(seed Seed) (Challenge, error) { return speak(seed) }

func drawDigits(rng *rand.Rand) string {
	var text [digitCount]byte
	for i := range text {
		text[i] = '0' + byte(rng.IntN(10))
	}
	return string(text[:])
}

// Interface guard.
var _ Kind = (*Digits)(nil)
