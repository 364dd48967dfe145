package hiddenpath_test

import (
	"strings"
	"sync"
	"testing"

	"flashgate"
	"flashgate/caddymodule/gatewaytest"
)

func TestWithoutASaleATokenIsGoodOnce(t *testing.T) {
	o := newOrigin(t, nil)
	g := gatewaytest.Run(t, o.inFront(downloads))
	here := []string{"X-Forwarded-For", "192.0.2.1"}
	there := []string{"X-Forwarded-For", "192.0.2.2"}
	c := g.Client(t)
	token := mintAt(t, c, "/files/7/link", here...)
	if a := c.Do("POST", "/files/7/get/"+token, there...); a.Code() != flashgate.CodePathInvalid {
		t.Errorf("from another address: %+v", a)
	}
	if a := c.Do("POST", "/files/8/get/"+token, here...); a.Code() != flashgate.CodePathInvalid {
		t.Errorf("for another file: %+v", a)
	}
	if a := c.Do("POST", "/files/7/get/"+token, "X-Forwarded-For", "192.0.2.1", "X-User", "192.0.2.1"); a.Code() != flashgate.CodePathInvalid {
		t.Errorf("for a user named like the address: %+v", a)
	}
	o.wantCalls(t, 0, "before its use")
	first := c.Do("POST", "/files/7/get/"+token, here...)
	if first.Body != "origin /files/7/get call 1" || first.Header.Get("Idempotent-Replayed") != "" {
		t.Errorf("its one use: %+v", first)
	}
	for range 3 {
		wantReplay(t, first, c.Do("POST", "/files/7/get/"+token, here...))
	}
	if a := c.Do("POST", "/files/7/get/"+token, there...); a.Code() != flashgate.CodePathInvalid {
		t.Errorf("the answer from another address: %+v", a)
	}
	o.wantCalls(t, 1, "used again")
	token = mintAt(t, c, "/files/7/link", "X-User", "u1", "X-Forwarded-For", "192.0.2.1")
	first = c.Do("POST", "/files/7/get/"+token, "X-User", "u1", "X-Forwarded-For", "192.0.2.2")
	wantReplay(t, first, c.Do("POST", "/files/7/get/"+token, "X-User", "u1", "X-Forwarded-For", "192.0.2.3"))
	o.wantCalls(t, 2, "a user from another address")
}

// wantReplay compares an answer with the first one, to the last byte and header.
func wantReplay(t testing.TB, first, again gatewaytest.Answer) {
	t.Helper()
	if again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("not marked as given again: %+v", again)
	}
	h := again.Header.Clone()
	h.Del("Idempotent-Replayed")
	if first.Status != again.Status || first.Body != again.Body || !equalHeaders(first.Header, h) {
		t.Errorf("%d %v %q\nwant %d %v %q", again.Status, h, again.Body, first.Status, first.Header, first.Body)
	}
}

func TestOfManyAtOnceOnePasses(t *testing.T) {
	o := newOrigin(t, nil)
	g := gatewaytest.Run(t, o.inFront(downloads))
	c := g.Client(t)
	token := mintAt(t, c, "/files/7/link")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			a, err := c.Try(t.Context(), "POST", "/files/7/get/"+token)
			if err != nil {
				t.Error(err)
			}
			if a.Body != "origin /files/7/get call 1" && a.Code() != flashgate.CodeUnknownOutcome {
				t.Errorf("%+v", a)
			}
		})
	}
	wg.Wait()
	o.wantCalls(t, 1, "20 at once")
}

// A reload, also one that fails, keeps the tokens that nobody has used, and the answers.
func TestAReloadKeepsTokens(t *testing.T) {
	o := newOrigin(t, nil)
	config := o.inFront(downloads)
	g := gatewaytest.Run(t, config)
	c := g.Client(t)
	unused, used, last := mintAt(t, c, "/files/7/link"), mintAt(t, c, "/files/7/link"), mintAt(t, c, "/files/7/link")
	first := c.Do("POST", "/files/7/get/"+used)
	if err := g.Load(strings.Replace(config, "reverse_proxy", "header X-Reloaded yes\nreverse_proxy", 1)); err != nil {
		t.Fatal(err)
	}
	if a := c.Do("POST", "/files/7/get/"+unused); a.Body != "origin /files/7/get call 2" || a.Header.Get("X-Reloaded") != "yes" {
		t.Errorf("after a reload: %+v", a)
	}
	wantReplay(t, first, c.Do("POST", "/files/7/get/"+used))
	if err := g.Load(strings.Replace(config, "data_dir DATA", "data_dir DATA\nkeys {env.FLASHGATE_TEST_BAD_KEYS}x", 1)); err == nil {
		t.Fatal("a configuration with bad keys was loaded")
	}
	if a := c.Do("POST", "/files/7/get/"+last); a.Body != "origin /files/7/get call 3" {
		t.Errorf("after a failed reload: %+v", a)
	}
}
