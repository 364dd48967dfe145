package challenge

import (
	"bytes"
	crand "crypto/rand"
	"fmt"
	"image/png"
	"math/rand/v2"
	"strconv"
	"sync"

	"github.com/dchest/captcha"
)

// spokenDigits is how many digits an audio challenge speaks: a blind guess passes
// once in a million.
const spokenDigits = 6

// Math is the Kind whose images are formulas, such as 48 + 7 × 6 = ?, and whose
// sounds are six digits in English.
type Math struct {
	encoder png.Encoder
}

// NewMath makes a Math. Its buffers are its own; a process needs one.
func NewMath() *Math {
	return &Math{encoder: png.Encoder{CompressionLevel: png.BestSpeed, BufferPool: new(bufferPool)}}
}

// Image draws a formula as a PNG of 300 × 80 pixels, dark on an opaque, nearly
// white ground. The best blind guess is right less than 1 % of the time.
func (m *Math) Image() (Challenge, error) {
	rng := newRand()
	f := drawFormula(rng.IntN)
	var body bytes.Buffer
	if err := m.encoder.Encode(&body, drawPicture(f.text+"=?", rng)); err != nil {
		return Challenge{}, fmt.Errorf("encoding the image of a captcha: %w", err)
	}
	return Challenge{Answer: strconv.Itoa(f.answer), Body: body.Bytes(), ContentType: "image/png"}, nil
}

// Audio speaks six digits between noise, as a WAV of 8 kHz and 8 bits, about
// 135 kB and 17 seconds. The answer may start with zeros and keeps them.
func (m *Math) Audio() (Challenge, error) {
	digits := captcha.RandomDigits(spokenDigits)
	// The id only seeds the noise: a fresh one makes the same digits sound
	// different every time.
	audio := captcha.NewAudio(crand.Text(), digits, "en")
	var body bytes.Buffer
	body.Grow(audio.EncodedLen() + 1) // which does not count the padding
	if _, err := audio.WriteTo(&body); err != nil {
		return Challenge{}, fmt.Errorf("writing the sound of a captcha: %w", err)
	}
	answer := make([]byte, len(digits))
	for i, d := range digits {
		answer[i] = '0' + d
	}
	return Challenge{Answer: string(answer), Body: body.Bytes(), ContentType: "audio/wav"}, nil
}

// newRand is a generator for one challenge. The picture shows much of what it
// draws, so it must not give away the rest: ChaCha8 is made for that, and its seed
// is the system's.
func newRand() *rand.Rand {
	var seed [32]byte
	crand.Read(seed[:]) // never fails, as its documentation says
	return rand.New(rand.NewChaCha8(seed))
}

// bufferPool keeps the encoder's buffers, which are most of a PNG's garbage.
type bufferPool struct{ pool sync.Pool }

func (p *bufferPool) Get() *png.EncoderBuffer {
	b, _ := p.pool.Get().(*png.EncoderBuffer)
	return b
}

func (p *bufferPool) Put(b *png.EncoderBuffer) { p.pool.Put(b) }

// Interface guards.
var (
	_ Kind                  = (*Math)(nil)
	_ png.EncoderBufferPool = (*bufferPool)(nil)
)
