package challenge_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"image"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"flashgate/internal/challenge"
)

func TestDigits(t *testing.T) {
	t.Parallel()
	for range 20 {
		c, err := challenge.NewDigits().Image(challenge.NewSeed())
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`^\d{6}$`).MatchString(c.Answer) || c.ContentType != "image/png" {
			t.Fatalf("answer %q, content type %q", c.Answer, c.ContentType)
		}
		if img := decode(t, c.Body); img.Bounds() != image.Rect(0, 0, 300, 80) || !img.Opaque() {
			t.Errorf("bounds %v, opaque %v", img.Bounds(), img.Opaque())
		}
	}
	c, err := challenge.NewDigits().Audio(challenge.NewSeed())
	if err != nil || c.ContentType != "audio/wav" {
		t.Errorf("audio: %s, %v", c.ContentType, err)
	}
}

// elsewhere asks a second process of this test for the pictures of two seeds.
const elsewhere = "FLASHGATE_TEST_DRAW"

// fingerprint is what the pictures of one seed look like, and what is spoken.
func fingerprint(t *testing.T) string {
	t.Helper()
	seed := challenge.Seed{1, 2, 3}
	sum := sha256.New()
	for _, kind := range []challenge.Kind{challenge.NewMath(), challenge.NewDigits()} {
		picture, err := kind.Image(seed)
		if err != nil {
			t.Fatal(err)
		}
		sound, err := kind.Audio(seed)
		if err != nil {
			t.Fatal(err)
		}
		if picture.Seed != seed || sound.Seed != seed {
			t.Error("a challenge does not know its seed")
		}
		sum.Write(picture.Body)
		sum.Write([]byte(picture.Answer + sound.Answer))
	}
	return "fingerprint " + hex.EncodeToString(sum.Sum(nil))
}

// The same seed gives the same challenge in every process.
func TestSameSeedLooksTheSameElsewhere(t *testing.T) {
	t.Parallel()
	here := fingerprint(t)
	if os.Getenv(elsewhere) != "" {
		os.Stdout.WriteString(here + "\n")
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSameSeedLooksTheSameElsewhere$")
	cmd.Env = append(os.Environ(), elsewhere+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), here) {
		t.Errorf("another process draws something else: %v\nwant %s, got\n%s", err, here, out)
	}
	a, err := challenge.NewMath().Image(challenge.Seed{1})
	if err != nil {
		t.Fatal(err)
	}
	b, err := challenge.NewMath().Image(challenge.Seed{2})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a.Body, b.Body) {
		t.Error("two seeds give one picture")
	}
}
