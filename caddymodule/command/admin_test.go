package command_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/caddymodule/command"
	"flashgate/caddymodule/gatewaytest"
)

const site = `
SITE {
	session_auth
	flashgate_health
	respond ok
}
`

// admin sends a request to the admin API, again if it got no answer at all: a reload
// may reset connections that wait in the listener it closes.
func admin(t *testing.T, g *gatewaytest.Gateway, method, path, body string) (int, string) {
	t.Helper()
	c := g.Client(t)
	for deadline := time.Now().Add(5 * time.Second); ; {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+g.Admin+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.HTTP.Do(req)
		if err != nil && time.Now().Before(deadline) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
}

func TestAdminRoutes(t *testing.T) {
	g := gatewaytest.Run(t, site)
	live := app.Live()
	const address = "http://shop.example/"
	for _, name := range []string{"a", "b", "c"} {
		live.Pages().Set(t.Context(), &flashgate.Page{Key: address + name, URL: address + name, Tags: []string{name}, Ends: time.Now().Add(time.Hour)})
	}
	has := func(name string) bool {
		page, _ := live.Pages().Get(t.Context(), address+name)
		return page != nil
	}
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/flashgate/status", "", 200},
		{"POST", "/flashgate/status", "", 405},
		{"POST", "/flashgate/cache/purge", `{"kind":"url","value":"http://SHOP.example/a"}`, 204},
		{"POST", "/flashgate/cache/purge", `{"kind":"tag","value":"b"}`, 204},
		{"POST", "/flashgate/cache/purge", `{"kind":"url","value":"/a"}`, 400},
		{"POST", "/flashgate/cache/purge", `{"kind":"prefix","value":"shop.example"}`, 400},
		{"POST", "/flashgate/cache/purge", `{"kind":"all","value":"a"}`, 400},
		{"POST", "/flashgate/cache/purge", `{}`, 400},
		{"POST", "/flashgate/cache/purge", `{"keys":["a"]}`, 400},
		{"POST", "/flashgate/cache/purge", `a`, 400},
		{"GET", "/flashgate/cache/purge", "", 405},
		{"GET", "/flashgate/cache/inspect?url=" + address + "c", "", 200},
		{"GET", "/flashgate/cache/inspect?url=c", "", 400},
		{"GET", "/flashgate/cache/stats", "", 200},
	} {
		if status, body := admin(t, g, c.method, c.path, c.body); status != c.status {
			t.Errorf("%s %s %s: %d %s, want %d", c.method, c.path, c.body, status, body, c.status)
		}
	}
	if has("a") || has("b") || !has("c") {
		t.Errorf("after purging a and b: a %t, b %t, c %t", has("a"), has("b"), has("c"))
	}
	for _, body := range []string{
		`{"kind":"prefix","value":"http://shop.example"}`,
		`{"kind":"prefix","value":"http://shop.example/*"}`,
		`{"kind":"url","value":"http://shop.example/*"}`,
	} {
		live.Pages().Set(t.Context(), &flashgate.Page{Key: address + "d", URL: address + "d", Seen: live.Pages().Seen(), Ends: time.Now().Add(time.Hour)})
		if !has("d") {
			t.Fatal("d is not there")
		}
		admin(t, g, "POST", "/flashgate/cache/purge", body)
		if has("c") || has("d") {
			t.Errorf("%s: c or d is there after purging all of its site", body)
		}
	}
}

// After a failed reload the admin API belongs to a configuration that never ran; its
// routes work on the one that does.
func TestAdminAfterAFailedReload(t *testing.T) {
	g := gatewaytest.Run(t, site)
	t.Setenv("FLASHGATE_TEST_KEYS", "not a key")
	err := g.Load("{\nadmin ADMIN\npersist_config off\nlog {\noutput discard\n}\nflashgate {\ndata_dir DATA/other\nkeys {env.FLASHGATE_TEST_KEYS}\n}\n}\n" + site)
	if err == nil {
		t.Fatal("bad keys were loaded")
	}
	status, body := admin(t, g, "GET", "/flashgate/status", "")
	var s command.Status
	if err := json.Unmarshal([]byte(body), &s); err != nil || status != 200 || s.DataDir != g.Dir || len(s.Backends) != 2 || s.Backends[0].Status != "ok" {
		t.Errorf("%d %s, %v; want the live folder %s", status, body, err, g.Dir)
	}
}

func TestAdminWithoutOurDirectives(t *testing.T) {
	g := gatewaytest.Run(t, "{\nadmin ADMIN\npersist_config off\nlog {\noutput discard\n}\n}\nSITE {\nrespond ok\n}")
	if status, body := admin(t, g, "GET", "/flashgate/status", ""); status != 503 || !strings.Contains(body, "not running") {
		t.Errorf("%d %s", status, body)
	}
}

var series = regexp.MustCompile(`(?m)^flashgate_decisions_total\{directive="session_auth",result="unauthenticated"\} (\d+)$`)

// A reload makes a new registry; the series goes on in it.
func TestMetricsGoOnAfterAReload(t *testing.T) {
	g := gatewaytest.Run(t, site)
	count := func() (n int) {
		t.Helper()
		g.Client(t).Do("GET", "/")
		_, text := admin(t, g, "GET", "/metrics", "")
		found := series.FindStringSubmatch(text)
		if found == nil {
			t.Fatalf("no such series in:\n%s", text)
		}
		fmt.Sscan(found[1], &n)
		return n
	}
	before := count()
	if err := g.Load(site); err != nil {
		t.Fatal(err)
	}
	if after := count(); after != before+1 {
		t.Errorf("the series went from %d to %d in a reload, want one more", before, after)
	}
}
