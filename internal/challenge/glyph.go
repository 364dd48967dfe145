package challenge

import "math"

// point is a place in a picture in pixels, or in a glyph in parts of its width and
// height: (0,0) is the top left corner, (1,1) the bottom right one.
type point struct{ x, y float64 }

// glyph is a character as the lines a pen would draw.
type glyph [][]point

// glyphs are the characters a formula is written in. They are drawn so that no
// two look alike when tilted a little: the one has a foot, the seven none, and
// six and nine would have to stand on their heads.
var glyphs = map[rune]glyph{
	'0': {arc(.5, .5, .46, .5, 0, 360)},
	'1': {{{.16, .24}, {.56, 0}, {.56, 1}}, {{.18, 1}, {.94, 1}}},
	'2': {append(arc(.5, .29, .43, .29, -170, 30), point{.06, 1}, point{.96, 1})},
	'3': {arc(.46, .25, .4, .25, -155, 90), arc(.46, .75, .46, .25, -90, 155)},
	'4': {{{.72, 1}, {.72, 0}, {.04, .68}, {1, .68}}},
	'5': {append([]point{{.9, 0}, {.2, 0}, {.14, .46}}, arc(.46, .68, .46, .32, -135, 145)...)},
	'6': {append([]point{{.78, .02}, {.42, .22}, {.16, .5}}, arc(.5, .68, .42, .32, -160, 200)...)},
	'7': {{{0, 0}, {1, 0}, {.26, 1}}},
	'8': {arc(.5, .25, .37, .25, 0, 360), arc(.5, .75, .45, .25, 0, 360)},
	'9': {append([]point{{.22, .98}, {.58, .78}, {.84, .5}}, arc(.5, .32, .42, .32, 20, 380)...)},
	'+': {{{.08, .5}, {.92, .5}}, {{.5, .24}, {.5, .76}}},
	'−': {{{.08, .5}, {.92, .5}}},
	'×': {{{.14, .28}, {.86, .72}}, {{.86, .28}, {.14, .72}}},
	'=': {{{.08, .38}, {.92, .38}}, {{.08, .62}, {.92, .62}}},
	'?': {append(arc(.5, .26, .4, .26, -170, 60), point{.5, .56}, point{.5, .72}), {{.5, .97}, {.5, .98}}},
}

// arc is a part of an ellipse, clockwise between two angles in degrees; 0 points
// to the right and 90 down.
func arc(cx, cy, rx, ry, from, to float64) []point {
	const perStep = 15
	n := int(math.Ceil((to - from) / perStep))
	points := make([]point, n+1)
	for i := range points {
		sin, cos := math.Sincos((from + (to-from)*float64(i)/float64(n)) * math.Pi / 180)
		points[i] = point{cx + rx*cos, cy + ry*sin}
	}
	return points
}
