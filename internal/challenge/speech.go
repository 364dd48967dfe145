package challenge

import (
	"bytes"
	"fmt"

	"github.com/dchest/captcha"
)

// speak says six digits between noise, as a WAV of 8 kHz and 8 bits, about 135 kB and 17
// seconds. The answer may start with zeros and keeps them.
func speak(seed Seed) (Challenge, error) {
	answer := drawDigits(newRand(seed))
	digits := make([]byte, len(answer))
	for i := range digits {
		digits[i] = answer[i] - '0'
	}
	// The id only seeds the noise, together with a secret of the process: the same digits
	// sound different every time.
	audio := captcha.NewAudio(string(seed[:]), digits, "en")
	var body bytes.Buffer
	body.Grow(audio.EncodedLen() + 1) // which does not count the padding
	if _, err := audio.WriteTo(&body); err != nil {
		return Challenge{}, fmt.Errorf("writing the sound of a captcha: %w", err)
	}
	return Challenge{Seed: seed, Answer: answer, Body: body.Bytes(), ContentType: "audio/wav"}, nil
}
