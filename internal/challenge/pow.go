package challenge

import (
	"crypto/sha256"
	"math"
	"math/bits"
	"strconv"
	"sync"
	"time"
)

// A proof of work is a number that makes SHA-256(text + "." + number) begin with so many
// zero bits: hashcash (Back 2002). Finding it takes 2^bits hashes on average, checking
// it takes one.

// MaxProof is the longest number of a proof, in decimal digits: all of 64 bits.
const MaxProof = 20

// Proves reports whether a number is a proof for a text.
func Proves(text, number string, zeroBits int) bool {
	if number == "" || len(number) > MaxProof {
		return false
	}
	if _, err := strconv.ParseUint(number, 10, 64); err != nil {
		return false
	}
	sum := sha256.Sum256([]byte(text + "." + number))
	zeros := 0
	for _, b := range sum {
		zeros += bits.LeadingZeros8(b)
		if b != 0 {
			break
		}
	}
	return zeros >= zeroBits
}

// Prove looks for a proof. It is what a visitor's script does, for tests and tools.
func Prove(text string, zeroBits int) string {
	for n := uint64(0); ; n++ {
		if number := strconv.FormatUint(n, 10); Proves(text, number, zeroBits) {
			return number
		}
	}
}

// Difficulty follows the load: each doubling of the challenges asked for beyond Easy a
// second takes one bit more. It is safe for concurrent use.
type Difficulty struct {
	Min, Max int              // bits
	Easy     float64          // challenges a second that still have Min
	Now      func() time.Time // the clock; nil: time.Now

	mu   sync.Mutex
	last time.Time
	rate float64 // challenges a second, smoothed over some seconds
}

// smoothing is the time in which an old rate falls to 1/e of it.
const smoothing = 5 * time.Second

// Next counts a challenge and says how hard it is to be.
func (d *Difficulty) Next() int {
	now := time.Now
	if d.Now != nil {
		now = d.Now
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	t := now()
	if !d.last.IsZero() {
		d.rate *= decay(t.Sub(d.last))
	}
	d.last = t
	d.rate += float64(time.Second) / float64(smoothing)
	zeroBits := d.Min
	for r := d.rate; r > d.Easy && zeroBits < d.Max; r /= 2 {
		zeroBits++
	}
	return zeroBits
}

func decay(passed time.Duration) float64 {
	return math.Exp(-max(passed, 0).Seconds() / smoothing.Seconds())
}
