package challenge

import (
	crand "crypto/rand"
	"crypto/subtle"
	"strings"
	"unicode"
)

// Seed is all the chance of one challenge: the same kind makes the same challenge of
// it in every process, so that whoever keeps the seed can draw the picture again.
// Whoever knows it knows the answer: it stays on the server.
type Seed [32]byte

// NewSeed draws a seed from the system's chance.
func NewSeed() (s Seed) {
	crand.Read(s[:]) // never fails, as its documentation says
	return s
}

// Challenge is one question: what the visitor sees or hears, and the only right
// answer. The receiver owns Body.
type Challenge struct {
	Seed        Seed   // never sent to the visitor
	Answer      string // decimal digits; never sent to the visitor
	Body        []byte
	ContentType string // the media type of Body
}

// Kind makes challenges of seeds. Both methods are safe for concurrent use. An error
// means that no challenge was made; asking again is harmless.
type Kind interface {
	// Image is a challenge to look at. The same seed gives the same bytes.
	Image(Seed) (Challenge, error)
	// Audio is a challenge to listen to, with an answer of its own. The same seed gives
	// the same spoken digits; the noise around them differs from process to process.
	Audio(Seed) (Challenge, error)
}

// maxGiven is the longest answer in bytes that Equal looks at: nobody types more.
const maxGiven = 64

// Equal reports whether a visitor's answer is the right one. Space anywhere in
// what was given does not count, full-width digits are digits and any minus sign is
// a minus sign, as keyboards for Chinese and Japanese produce them. An empty answer
// is never right. For answers of one length the comparison takes the same time
// wherever they differ.
func Equal(answer, given string) bool {
	if len(given) > maxGiven {
		return false
	}
	given = normalize(given)
	if given == "" {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(answer), []byte(given)) == 1
}

func normalize(given string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), r == '\u200b', r == '\ufeff': // the last two have no width
			return -1
		case '０' <= r && r <= '９':
			return r - '０' + '0'
		case r == '\u2212', r == '\u2013', r == '\ufe63', r == '\uff0d': // minus, en dash, small and full-width hyphen
			return '-'
		default:
			return r
		}
	}, given)
}
