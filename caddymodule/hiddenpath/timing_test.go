package hiddenpath_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"maps"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/caddymodule/gatewaytest"
	"flashgate/caddymodule/hiddenpath"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// OAT-002 Token Cracking, by the clock: nobody learns from the time of a refusal whether a
// token exists, was used, is over or is somebody else's. Each kind is measured against
// made-up tokens, in random order, at the handler itself.
//
// The method is that of Reparaz, Balasch and Verbauwhede, "Dude, is my code constant
// time?" (DATE 2017): Welch's t-test on measurements that are cropped at a common
// percentile. Its authors take |t| > 10 for a leak. A noisy machine can give that by
// chance, so all of several rounds, each with tokens of its own, must say so. Two planted leaks show that the test sees
// what it is to see: an answer before the MAC for an unknown key, and a look into the
// store for a used token.
func TestNobodyLearnsFromTheTimeOfARefusal(t *testing.T) {
	rig := newTimingRig(t)
	for name := range rig.next {
		if name == madeUp {
			continue
		}
		if worst := rig.leaks(name, rig.handler.ServeHTTP); worst > 0 {
			t.Errorf("%s: |t| is %.1f or more in each of %d rounds", name, worst, timingRounds)
		}
	}
	early := func(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
		if rig.unknownKey[r.URL.Path] {
			return rig.handler.Refuse(w, r)
		}
		return rig.handler.ServeHTTP(w, r, next)
	}
	if worst := rig.leaks("another session's, unused", early); worst == 0 {
		t.Error("an answer before the MAC for an unknown key was not noticed")
	}
	look := func(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
		if key := rig.usedKeys[r.URL.Path]; key != "" {
			_, _, _ = app.Live().OneTime().CompareAndSwap(r.Context(), key, nil, nil)
		}
		return rig.handler.ServeHTTP(w, r, next)
	}
	if worst := rig.leaks("another session's, used", look); worst == 0 {
		t.Error("a look into the store for a used token was not noticed")
	}
}

const (
	madeUp       = "made up"
	timingRounds = 5
	timingTokens = 1024   // of each kind, as the time depends on the characters too
	timingCalls  = 20_000 // of each of two kinds in a round
	timingBound  = 10     // |t| of a leak
	timingCrop   = 0.8    // the part of the measurements that is looked at, the fastest
)

type timingRig struct {
	ctx        context.Context
	handler    *hiddenpath.Handler
	next       map[string]func() string // makes a token, by kind
	unknownKey map[string]bool          // by path
	usedKeys   map[string]string        // one-time key by path
}

func newTimingRig(t *testing.T) *timingRig {
	o := newOrigin(t, nil)
	g := gatewaytest.Run(t, o.inFront(downloads))
	rig := &timingRig{ctx: t.Context(), handler: provision(t, ""), unknownKey: map[string]bool{}, usedKeys: map[string]string{}}
	strange, err := flashgate.ParseKeyring(flashgate.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	keys, scope := g.Keys(t), rig.handler.Guard.String()
	mint := func(k *flashgate.Keyring, file, session string, in time.Duration) string {
		token, _ := k.Mint(flashgate.Claim{Sale: scope + "\n" + file, Session: session, User: "user u1"}, time.Now().Add(in))
		return token
	}
	unknown := make([]byte, 4)
	_, _ = rand.Read(unknown)
	values := app.Live().OneTime()
	put := func(token, state string) string {
		if err := values.Put(t.Context(), hiddenpath.OneTimeKey(token), []byte(state), time.Hour); err != nil {
			t.Fatal(err)
		}
		return token
	}
	rig.next = map[string]func() string{
		// Of the shape of a token, as a visitor who has seen some makes it up: else other
		// characters alone, of which some are read faster, would make a difference.
		madeUp: func() string {
			token := mint(keys, "7", "mine", time.Hour)
			b, err := base64.RawURLEncoding.DecodeString(token)
			if err != nil {
				t.Fatal(err)
			}
			copy(b, unknown)
			_, _ = rand.Read(b[len(b)-16:])
			return base64.RawURLEncoding.EncodeToString(b)
		},
		"another session's, unused": func() string { return put(mint(keys, "7", "other", time.Hour), "f") },
		"another session's, used":   func() string { return put(mint(keys, "7", "other", time.Hour), "u12345678") },
		"expired":                   func() string { return mint(keys, "7", "mine", -time.Hour) },
		"a retired key's":           func() string { return mint(strange, "7", "mine", time.Hour) },
		"another file's":            func() string { return put(mint(keys, "8", "mine", time.Hour), "f") },
	}
	return rig
}

// requests makes some of a kind and as many of made-up tokens, by turns. A round has new
// ones: their characters, and where they lie in memory, make a difference that would stay the
// same over all rounds.
func (rig *timingRig) requests(kind string) (kinds [2][]*http.Request) {
	for range timingTokens {
		for side, k := range [2]string{madeUp, kind} {
			token := rig.next[k]()
			path := "/files/7/get/" + token
			rig.unknownKey[path] = k == madeUp
			if k == "another session's, used" {
				rig.usedKeys[path] = hiddenpath.OneTimeKey(token)
			}
			kinds[side] = append(kinds[side], request(rig.ctx, path))
		}
	}
	return kinds
}

// leaks measures a kind against made-up tokens. It returns the least |t| of the rounds
// when each is over the bound, else 0.
func (rig *timingRig) leaks(kind string, serve func(http.ResponseWriter, *http.Request, caddyhttp.Handler) error) float64 {
	least := math.Inf(1)
	for range timingRounds {
		if least = min(least, math.Abs(rig.welch(kind, serve))); least < timingBound {
			return 0
		}
	}
	return least
}

// quietWriter drops the answer.
type quietWriter struct{ header http.Header }

func (w quietWriter) Header() http.Header         { return w.header }
func (w quietWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w quietWriter) WriteHeader(int)             {}

func (rig *timingRig) welch(kind string, serve func(http.ResponseWriter, *http.Request, caddyhttp.Handler) error) float64 {
	kinds := rig.requests(kind)
	var took [2][]float64
	w := quietWriter{http.Header{}}
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { panic("a bad token has passed") })
	for range 2 * timingCalls {
		side := mathrand.IntN(2)
		r := kinds[side][mathrand.IntN(len(kinds[side]))]
		clear(w.header)
		begin := time.Now()
		_ = serve(w, r, next)
		took[side] = append(took[side], float64(time.Since(begin)))
	}
	all := slices.Sorted(slices.Values(slices.Concat(took[0], took[1])))
	bound := all[int(float64(len(all))*timingCrop)]
	var mean, part [2]float64 // part: variance / n
	for side, times := range took {
		n, m, m2 := 0.0, 0.0, 0.0
		for _, x := range times {
			if x > bound {
				continue
			}
			n++
			d := x - m
			m += d / n
			m2 += d * (x - m)
		}
		mean[side], part[side] = m, m2/(n-1)/n
	}
	return (mean[1] - mean[0]) / math.Sqrt(part[0]+part[1])
}

// TestTimingFigures prints |t| of one round for each kind, with -v.
func TestTimingFigures(t *testing.T) {
	rig := newTimingRig(t)
	for _, kind := range slices.Sorted(maps.Keys(rig.next)) {
		if v := rig.welch(kind, rig.handler.ServeHTTP); math.IsNaN(v) {
			t.Errorf("%s: no measurements", kind)
		} else {
			t.Logf("%s against made up: t = %.1f", kind, v)
		}
	}
}
