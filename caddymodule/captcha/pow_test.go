package captcha_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"flashgate/caddymodule/gatewaytest"
	"flashgate/internal/challenge"
)

const withProof = `captcha math {
	serve GET /api/sales/{sale}/captcha
	verify POST /api/sales/{sale}/path
	loadtest_key ` + key + `
	alternative pow
	bits 8 10
	pool off
}`

// prove does the work as a visitor's computer does.
func prove(t *testing.T, c *gatewaytest.Client, path string) string {
	t.Helper()
	a := c.Do("GET", path)
	text := a.Member("challenge")
	if a.Status != 200 || a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(text, "8.") || a.Member("bits") != "8" {
		t.Fatalf("GET %s: %d %v %s", path, a.Status, a.Header, a.Body)
	}
	return text + "." + challenge.Prove(text, 8)
}

// OAT-009 CAPTCHA Defeat, with proofs of work: one counts for one visitor, one sale, once.
func TestProofOfWork(t *testing.T) {
	g := gatewaytest.Run(t, site(t, withProof))
	ann, bob, anon := g.Login(t, "ann"), g.Login(t, "bob"), g.Client(t)
	answer := prove(t, ann, captcha1+"?kind=pow")
	expect(t, bob, path1, answer, 403, "captcha_wrong")
	expect(t, anon, path1, answer, 403, "captcha_wrong")
	expect(t, ann, path2, answer, 403, "captcha_wrong")
	parts := strings.Split(answer, ".")
	for name, forged := range map[string]string{
		"less work":          "0." + strings.Join(parts[1:], "."),
		"another nonce":      parts[0] + ".AAAAAAAAAAAAAAAAAAAAAAAAAA." + parts[2] + "." + parts[3],
		"another number":     strings.Join(parts[:3], ".") + "." + parts[3] + "1",
		"no number":          strings.Join(parts[:3], ".") + ".",
		"a part less":        strings.Join(parts[:3], "."),
		"a part more":        answer + ".0",
		"a cut stamp":        parts[0] + "." + parts[1] + "." + parts[2][1:] + "." + parts[3],
		"made up":            "8.x.y.0",
		"nothing but points": "...",
	} {
		if status, code := post(t, ann, path1, forged); status == 200 && name != "another number" || status != 200 && code != "captcha_wrong" {
			t.Errorf("%s: %d %s", name, status, code)
		}
	}
	expect(t, ann, path1, prove(t, ann, captcha1+"?kind=pow"), 200, "")

	answer = prove(t, anon, captcha1+"?kind=pow")
	expect(t, anon, path1, " "+answer+"\n", 200, "")
	expect(t, anon, path1, answer, 403, "captcha_wrong")
	if err := g.Load(site(t, withProof)); err != nil {
		t.Fatal(err)
	}
	expect(t, anon, path1, answer, 403, "captcha_wrong") // after a reload too

	// A picture is open beside it, and a proof does not burn it.
	picture := solve(t, ann, captcha1)
	expect(t, ann, path1, prove(t, ann, captcha1+"?kind=pow"), 200, "")
	expect(t, ann, path1, picture, 200, "")
	if worker := ann.Do("GET", captcha1+"?kind=worker.js"); worker.Status != 200 || !strings.HasPrefix(worker.Header.Get("Content-Type"), "text/javascript") {
		t.Errorf("the worker: %d %v", worker.Status, worker.Header)
	}
}

// OAT-009 CAPTCHA Defeat: 50 connections send one proof at once. One gets through.
func TestRaceOfOneProof(t *testing.T) {
	g := gatewaytest.Run(t, site(t, withProof))
	ann := g.Login(t, "ann")
	answer := prove(t, ann, captcha1+"?kind=pow")
	var passed atomic.Int64
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range 50 {
		c := g.Client(t)
		c.Header = ann.Header
		wg.Go(func() {
			<-start
			if status, _, err := tryPost(c, path1, answer); err != nil {
				t.Error(err)
			} else if status == 200 {
				passed.Add(1)
			}
		})
	}
	close(start)
	wg.Wait()
	if passed.Load() != 1 {
		t.Errorf("%d passed", passed.Load())
	}
}

// The kind pow has no pictures; the difficulty rises with the load.
func TestProofOfWorkAlone(t *testing.T) {
	g := gatewaytest.Run(t, site(t, "captcha pow {\nserve GET /captcha\nverify POST /x\nbits 8 11\n}"))
	c := g.Client(t)
	expect(t, c, "/x", prove(t, c, "/captcha"), 200, "")
	expect(t, c, "/x", prove(t, c, "/captcha?kind=audio"), 200, "")
	bits := ""
	for range 400 {
		bits = c.Do("GET", "/captcha").Member("bits")
	}
	if bits == "8" {
		t.Error("400 challenges in a moment are as easy as one")
	}
}
