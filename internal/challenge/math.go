package challenge

import "strconv"

// Math is the Kind whose images are formulas, such as 48 + 7 × 6 = ?, and whose
// sounds are six digits in English.
type Math struct{ painter }

// NewMath makes a Math. Its buffers are its own; a process needs one.
func NewMath() *Math { return &Math{newPainter()} }

// Image draws a formula as a PNG of 300 × 80 pixels, opaque, so that it can be read on
// white and on dark pages. The best blind guess is right less than 1 % of the time.
func (m *Math) Image(seed Seed) (Challenge, error) {
	rng := newRand(seed)
	f := drawFormula(rng.IntN)
	return m.paint(seed, f.text+"=?", strconv.Itoa(f.answer), rng)
}

// Audio speaks six digits.
func (*Math) Audio(seed Seed) (Challenge, error) { return speak(seed) }

// Interface guard.
var _ Kind = (*Math)(nil)
