package challenge

import (
	"bytes"
	"fmt"
	"image/png"
	"math/rand/v2"
	"sync"
)

// painter makes PNGs of text.
type painter struct{ encoder *png.Encoder }

func newPainter() painter {
	return painter{&png.Encoder{CompressionLevel: png.BestSpeed, BufferPool: new(bufferPool)}}
}

func (p painter) paint(seed Seed, text, answer string, rng *rand.Rand) (Challenge, error) {
	var body bytes.Buffer
	if err := p.encoder.Encode(&body, drawPicture(text, rng)); err != nil {
		return Challenge{}, fmt.Errorf("encoding the image of a captcha: %w", err)
	}
	return Challenge{Seed: seed, Answer: answer, Body: body.Bytes(), ContentType: "image/png"}, nil
}

// newRand is the chance of one challenge. The picture shows much of what it gives, so
// it must not give away the rest: ChaCha8 is made for that.
func newRand(seed Seed) *rand.Rand { return rand.New(rand.NewChaCha8(seed)) }

// bufferPool keeps the encoder's buffers, which are most of a PNG's garbage.
type bufferPool struct{ pool sync.Pool }

func (p *bufferPool) Get() *png.EncoderBuffer {
	b, _ := p.pool.Get().(*png.EncoderBuffer)
	return b
}

func (p *bufferPool) Put(b *png.EncoderBuffer) { p.pool.Put(b) }

// Interface guard.
var _ png.EncoderBufferPool = (*bufferPool)(nil)
