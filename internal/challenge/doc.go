// Package challenge makes captchas: a formula to read and solve or digits to read, drawn
// as a PNG, and spoken digits as a WAV for those who cannot see them; and it judges
// answers.
//
// The captcha directive calls it: it draws a challenge, keeps the answer in a
// store of its own, sends the body, and compares what comes back with Equal. How
// many challenges are drawn at once is the caller's to bound: each costs a millisecond
// of a core and more.
//
// It knows no store, session or request. Of this module's dependencies it imports
// github.com/dchest/captcha, for the spoken digits only, and must never import
// Caddy, the domain, an adapter or another engine.
//
// The pictures are drawn here, not by that library: it has digits but no operators; its
// background is transparent, which cannot be read on a dark page; text and strike share
// one colour of the palette that noise has not; and each process draws the same
// challenge differently. A test reads the pictures with Tesseract, after the tricks that
// an attacker would use first.
//
// What a captcha of this kind is good for: it makes each try cost a request and an
// effort, so that a script cannot simply post. It does not stop a person, nor
// someone who trains a reader for it; the limits of the access_limit directive
// and of one unit per user hold without it.
package challenge
