package accesslimit_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"flashgate/caddymodule/gatewaytest"
)

// Of several directives that a request passes, the placeholders speak of the last one.
func TestPlaceholdersOfTheLastDecision(t *testing.T) {
	g := run(t, `
	access_limit /after 3 1h {
		name first
		dry_run
	}
	access_limit /after 5 1h {
		name second
	}`)
	c := g.Client(t)
	for i, want := range []string{"4 ", "3 ", "2 ", "1 ", "0 "} {
		if got := c.Do("GET", "/after").Body; got != want {
			t.Errorf("request %d: %q, want %q", i+1, got, want)
		}
	}
}

// A site may call a variable of its own like the directive.
func TestVariablesOfTheSite(t *testing.T) {
	g := run(t, `
	vars access_limit mine
	access_limit /after 5 1h
	respond /vars {vars.access_limit}
	access_limit /vars 5 1h`)
	c := g.Client(t)
	if a := c.Do("GET", "/vars"); a.Body != "mine" || a.Header.Get("RateLimit") == "" {
		t.Errorf("%+v", a)
	}
	if a := c.Do("GET", "/after"); a.Body != "4 " {
		t.Errorf("%+v", a)
	}
}

// Requests that come together on the streams of one connection are each told of their own
// limits: in the headers, in the body, and in the log that is written after the answer.
func TestDecisionsOfStreams(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	g := gatewaytest.Run(t, `{
	admin ADMIN
	persist_config off
	log {
		output discard
	}
	servers {
		protocols h1 h2c
	}
	flashgate {
		data_dir DATA
	}
}
SITE {
	log {
		output file `+log+`
		format json
	}
	log_append who {header.X-Key}
	log_append left {http.access_limit.remaining}
	log_append over {http.access_limit.exceeded}
	access_limit /x 1000 1h by header X-Key {
		name front
	}
	access_limit /x 20 1h by header X-Key {
		name each
	}
	respond "{http.access_limit.remaining}"
}`)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	const keys, requests = 16, 30
	seconds := regexp.MustCompile(`;t=\d+`)
	var wg sync.WaitGroup
	for k := range keys {
		wg.Go(func() {
			for i := range requests {
				req, err := http.NewRequestWithContext(t.Context(), "GET", g.URL+"/x", nil)
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("X-Key", fmt.Sprint(k))
				res, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				body, _ := io.ReadAll(res.Body)
				res.Body.Close()
				limits := fmt.Sprint(res.StatusCode, " ", seconds.ReplaceAllString(strings.Join(res.Header["Ratelimit"], " "), ""))
				want := fmt.Sprintf(`200 "front";r=%d "each";r=%d`, 999-i, 19-i)
				if i >= 20 {
					want = fmt.Sprintf(`429 "front";r=%d "each";r=0`, 999-i)
				}
				if res.ProtoMajor != 2 || limits != want || i < 20 && string(body) != fmt.Sprint(19-i) {
					t.Errorf("%s, key %d, request %d: %s %s, want %s", res.Proto, k, i, limits, body, want)
				}
			}
		})
	}
	wg.Wait()
	transport.CloseIdleConnections()
	if err := g.Load("SITE {\n\trespond ok\n}\n"); err != nil { // closes the log
		t.Fatal(err)
	}
	told := logged(t, log)
	for k := range keys {
		for i := range 20 {
			if line := fmt.Sprintf("%d %d ", k, 19-i); told[line] != 1 {
				t.Errorf("%q is logged %d times", line, told[line])
			}
		}
		if line := fmt.Sprintf("%d 0 each", k); told[line] != requests-20 {
			t.Errorf("%q is logged %d times, want %d", line, told[line], requests-20)
		}
	}
}

// logged counts the lines of a log by client, what was left and which limits were past.
func logged(t *testing.T, name string) map[string]int {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	told := map[string]int{}
	for lines := json.NewDecoder(f); ; {
		var line struct{ Who, Left, Over string }
		if err := lines.Decode(&line); err == io.EOF {
			return told
		} else if err != nil {
			t.Fatal(err)
		}
		told[line.Who+" "+line.Left+" "+line.Over]++
	}
}
