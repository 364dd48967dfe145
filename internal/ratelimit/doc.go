// Package ratelimit is the arithmetic of an access limit: a sliding window made of
// two fixed ones. It keeps no state and reads no clock; a store calls it inside its
// own atomic step. It knows no Caddy and no backend.
package ratelimit
