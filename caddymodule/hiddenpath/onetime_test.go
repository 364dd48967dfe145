package hiddenpath_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"flashgate"
	"flashgate/caddymodule/gatewaytest"
)

// downloads stands in front of a foreign origin: no login, no sale. Clients are told
// apart by the address that a trusted proxy gives.
const downloads = `
{
	admin off
	persist_config off
	log {
		output discard
	}
	servers {
		trusted_proxies static 127.0.0.1
	}
	flashgate {
		data_dir DATA
	}
}

SITE {
	hidden_path {
		mint POST /files/{file_id}/link
		guard GET /files/{file_id}/get/{token}
		user {http.request.header.X-User}
	}
	respond "origin {uri}"
}
`

func TestWithoutASaleATokenIsGoodOnce(t *testing.T) {
	g := gatewaytest.Run(t, downloads)
	here := []string{"X-Forwarded-For", "192.0.2.1"}
	there := []string{"X-Forwarded-For", "192.0.2.2"}
	c := g.Client(t)
	mint := func(header ...string) string {
		a := c.Do("POST", "/files/7/link", header...)
		if a.Status != 200 || a.Member("order") != "" || len(a.Member("path")) != 59 {
			t.Fatalf("mint: %+v", a)
		}
		return a.Member("path")
	}
	token := mint(here...)
	if a := c.Do("GET", "/files/7/get/"+token, there...); a.Code() != flashgate.CodePathInvalid {
		t.Errorf("from another address: %+v", a)
	}
	if a := c.Do("GET", "/files/8/get/"+token, here...); a.Code() != flashgate.CodePathInvalid {
		t.Errorf("for another file: %+v", a)
	}
	if a := c.Do("GET", "/files/7/get/"+token, "X-Forwarded-For", "192.0.2.1", "X-User", "192.0.2.1"); a.Code() != flashgate.CodePathInvalid {
		t.Errorf("for a user named like the address: %+v", a)
	}
	if a := c.Do("GET", "/files/7/get/"+token, here...); a.Body != "origin /files/7/get" {
		t.Errorf("its one use: %+v", a)
	}
	if a := c.Do("GET", "/files/7/get/"+token, here...); a.Code() != flashgate.CodePathInvalid {
		t.Errorf("used again: %+v", a)
	}
	token = mint("X-User", "u1", "X-Forwarded-For", "192.0.2.1")
	if a := c.Do("GET", "/files/7/get/"+token, "X-User", "u1", "X-Forwarded-For", "192.0.2.2"); a.Status != 200 {
		t.Errorf("a user from another address: %+v", a)
	}
}

func TestOfManyAtOnceOnePasses(t *testing.T) {
	g := gatewaytest.Run(t, downloads)
	c := g.Client(t)
	token := c.Do("POST", "/files/7/link").Member("path")
	var passed atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			a, err := c.Try(t.Context(), "GET", "/files/7/get/"+token)
			if err != nil {
				t.Error(err)
			}
			if a.Status == 200 {
				passed.Add(1)
			}
		})
	}
	wg.Wait()
	if n := passed.Load(); n != 1 {
		t.Errorf("%d of 20 passed, want 1", n)
	}
}

// A reload, also one that fails, keeps the tokens that nobody has used.
func TestAReloadKeepsTokens(t *testing.T) {
	g := gatewaytest.Run(t, downloads)
	c := g.Client(t)
	first, second := c.Do("POST", "/files/7/link").Member("path"), c.Do("POST", "/files/7/link").Member("path")
	if err := g.Load(strings.Replace(downloads, "origin", "reloaded", 1)); err != nil {
		t.Fatal(err)
	}
	if a := c.Do("GET", "/files/7/get/"+first); a.Body != "reloaded /files/7/get" {
		t.Errorf("after a reload: %+v", a)
	}
	if err := g.Load(strings.Replace(downloads, "data_dir DATA", "data_dir DATA\nkeys {env.FLASHGATE_TEST_BAD_KEYS}x", 1)); err == nil {
		t.Fatal("a configuration with bad keys was loaded")
	}
	if a := c.Do("GET", "/files/7/get/"+second); a.Body != "reloaded /files/7/get" {
		t.Errorf("after a failed reload: %+v", a)
	}
}
