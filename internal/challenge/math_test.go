package challenge_test

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/png"
	"math"
	"math/rand/v2"
	"regexp"
	"sync"
	"testing"

	"flashgate/internal/challenge"
)

// widest is as long as a picture's text gets.
const widest = "88−8×8=?"

func seeded(n int) *rand.Rand { return rand.New(rand.NewPCG(uint64(n), 1)) }

func decode(t *testing.T, body []byte) *image.Paletted {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	p, ok := img.(*image.Paletted)
	if !ok {
		t.Fatalf("the PNG is a %T, want a palette", img)
	}
	return p
}

func TestImage(t *testing.T) {
	t.Parallel()
	c, err := challenge.NewMath().Image(challenge.NewSeed())
	if err != nil {
		t.Fatal(err)
	}
	if c.ContentType != "image/png" {
		t.Errorf("content type %q", c.ContentType)
	}
	if !regexp.MustCompile(`^[1-9]\d{0,2}$`).MatchString(c.Answer) {
		t.Errorf("answer %q is not a number of up to three digits", c.Answer)
	}
	img := decode(t, c.Body)
	if img.Bounds() != image.Rect(0, 0, 300, 80) {
		t.Errorf("bounds %v", img.Bounds())
	}
	if !img.Opaque() {
		t.Error("the image is not opaque: it cannot be read on a dark page")
	}
	if len(c.Body) > 12_000 {
		t.Errorf("%d bytes, more than the pixels take without compression", len(c.Body))
	}
}

func TestAudio(t *testing.T) {
	t.Parallel()
	c, err := challenge.NewMath().Audio(challenge.NewSeed())
	if err != nil {
		t.Fatal(err)
	}
	if c.ContentType != "audio/wav" {
		t.Errorf("content type %q", c.ContentType)
	}
	if !regexp.MustCompile(`^\d{6}$`).MatchString(c.Answer) {
		t.Errorf("answer %q is not six digits", c.Answer)
	}
	if len(c.Body) < 44 || string(c.Body[:4]) != "RIFF" || string(c.Body[8:16]) != "WAVEfmt " {
		t.Fatalf("%d bytes that start with %q: not a WAV", len(c.Body), c.Body[:min(len(c.Body), 16)])
	}
	if rate := binary.LittleEndian.Uint32(c.Body[24:]); rate != 8000 {
		t.Errorf("%d samples a second", rate)
	}
}

// TestChallengesDiffer draws in parallel, so that the race detector sees the
// pools.
func TestChallengesDiffer(t *testing.T) {
	t.Parallel()
	var kind challenge.Kind = challenge.NewMath()
	const workers, each = 4, 8
	bodies := make([][][]byte, workers)
	answers := make([]map[string]bool, workers)
	var wg sync.WaitGroup
	for w := range workers {
		answers[w] = map[string]bool{}
		wg.Go(func() {
			for i := range each {
				draw := kind.Image
				if i%4 == 3 {
					draw = kind.Audio
				}
				c, err := draw(challenge.NewSeed())
				if err != nil {
					t.Error(err)
					return
				}
				bodies[w] = append(bodies[w], c.Body)
				answers[w][c.Answer] = true
			}
		})
	}
	wg.Wait()
	seen, seenAnswers := map[string]bool{}, map[string]bool{}
	for w := range workers {
		for _, body := range bodies[w] {
			seen[string(body)] = true
		}
		for answer := range answers[w] {
			seenAnswers[answer] = true
		}
	}
	if len(seen) != workers*each {
		t.Errorf("%d different bodies of %d: a body was drawn twice or changed later", len(seen), workers*each)
	}
	// Of 24 formulas and 8 sounds a few answers may be the same, never most.
	if len(seenAnswers) < workers*each/2 {
		t.Errorf("only %d different answers", len(seenAnswers))
	}
}

func TestSameTextIsDrawnDifferently(t *testing.T) {
	t.Parallel()
	a, b := challenge.DrawText(widest, seeded(1)), challenge.DrawText(widest, seeded(2))
	if bytes.Equal(a.Pix, b.Pix) {
		t.Error("the text looks the same under two seeds: a table of pictures would read it")
	}
}

// TestTextStaysInside draws the longest text many times: nothing may be cut off
// at the edge.
func TestTextStaysInside(t *testing.T) {
	t.Parallel()
	for seed := range 300 {
		img := challenge.DrawText(widest, seeded(seed))
		ink := 0
		for y := range 80 {
			for x := range 300 {
				if img.ColorIndexAt(x, y) == 0 {
					continue
				}
				ink++
				if x < 2 || x > 297 || y < 2 || y > 77 {
					t.Fatalf("seed %d: ink at (%d, %d)", seed, x, y)
				}
			}
		}
		if ink < 1000 {
			t.Fatalf("seed %d: only %d pixels of ink", seed, ink)
		}
	}
}

// TestContrast reckons as WCAG 2.2 does, between the ground and the ink.
func TestContrast(t *testing.T) {
	t.Parallel()
	luminance := func(img *image.Paletted, i int) float64 {
		linear := func(c uint32) float64 {
			v := float64(c) / 0xffff
			if v <= 0.04045 {
				return v / 12.92
			}
			return math.Pow((v+0.055)/1.055, 2.4)
		}
		r, g, b, _ := img.Palette[i].RGBA()
		return 0.2126*linear(r) + 0.7152*linear(g) + 0.0722*linear(b)
	}
	for seed := range 300 {
		img := challenge.DrawText("=?", seeded(seed))
		ground, ink := luminance(img, 0), luminance(img, len(img.Palette)-1)
		if ground < 0.85 {
			t.Fatalf("seed %d: the ground's luminance is %.2f, not nearly white", seed, ground)
		}
		if contrast := (ground + 0.05) / (ink + 0.05); contrast < 4.5 {
			t.Fatalf("seed %d: contrast %.1f", seed, contrast)
		}
	}
}

func BenchmarkDigitsImage(b *testing.B) {
	d := challenge.NewDigits()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Image(challenge.NewSeed()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMathImage(b *testing.B) {
	m := challenge.NewMath()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Image(challenge.NewSeed()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMathAudio(b *testing.B) {
	m := challenge.NewMath()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Audio(challenge.NewSeed()); err != nil {
			b.Fatal(err)
		}
	}
}
