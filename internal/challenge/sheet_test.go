package challenge_test

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"testing"

	"flashgate/internal/challenge"
)

var update = flag.Bool("update", false, "draw the contact sheets in docs/ anew")

// sheet shows 20 pictures, half of them on a white page and half on a dark one.
func sheet(t *testing.T, kind challenge.Kind) image.Image {
	t.Helper()
	const rows, columns, margin = 10, 2, 10
	out := image.NewRGBA(image.Rect(0, 0, columns*(300+2*margin), rows*(80+2*margin)))
	for i := range rows * columns {
		c, err := kind.Image(challenge.Seed{byte(i), 'd', 'o', 'c', 's'})
		if err != nil {
			t.Fatal(err)
		}
		column, row := i%columns, i/columns
		cell := image.Rect(0, 0, 300+2*margin, 80+2*margin).Add(image.Pt(column*(300+2*margin), row*(80+2*margin)))
		page := color.Color(color.White)
		if column == 1 {
			page = color.RGBA{0x12, 0x12, 0x18, 0xff}
		}
		draw.Draw(out, cell, image.NewUniform(page), image.Point{}, draw.Src)
		draw.Draw(out, cell.Inset(margin), decode(t, c.Body), image.Point{}, draw.Src)
	}
	return out
}

// The contact sheets in docs/ show what is drawn now. They are for people: can you read
// them?
func TestContactSheets(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]challenge.Kind{"math": challenge.NewMath(), "digits": challenge.NewDigits()} {
		file := "../../docs/captcha-" + name + ".png"
		want := sheet(t, kind).(*image.RGBA)
		if *update {
			var b bytes.Buffer
			if err := png.Encode(&b, want); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		got := image.NewRGBA(img.Bounds())
		draw.Draw(got, got.Bounds(), img, image.Point{}, draw.Src)
		if !bytes.Equal(got.Pix, want.Pix) {
			t.Errorf("%s shows something else: go test ./internal/challenge -run ContactSheets -update", file)
		}
	}
}
