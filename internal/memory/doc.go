// Package memory is the embedded backend of short-lived state: limits and one-time
// values, in memory bounded by bytes.
//
// The gateway's app opens one Store per data folder and keeps it through reloads;
// the shop has one of its own for its login limits. It imports no other adapter and
// no Caddy.
//
// Each kind has a budget of its own, so that a flood of one cannot push out
// another. At its budget a kind forgets entries that were not used lately
// (W-TinyLFU): a forgotten limit starts anew, a forgotten captcha must be asked for
// again.
package memory
