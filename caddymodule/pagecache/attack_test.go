package pagecache_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"flashgate/caddymodule/gatewaytest"
)

func site(options, addr string) string {
	return "SITE {\n\tpage_cache {\n" + options + "\n\t}\n\treverse_proxy " + addr + "\n}"
}

// behindProxy is a site whose clients come by a trusted proxy on this machine.
func behindProxy(strict, options, addr string) string {
	return "{\n\tadmin ADMIN\n\tpersist_config off\nlog {\noutput discard\n}\n\tservers {\n\t\ttrusted_proxies static 127.0.0.1/32\n\t\t" + strict +
		"\n\t}\n\tflashgate {\n\t\tdata_dir DATA\n\t}\n}\n" + site(options, addr)
}

// PURGE from outside, and with a made-up X-Forwarded-For (OWASP: trusting a header that
// the client can write).
func TestAttackByPurge(t *testing.T) {
	addr, _ := origin(t, page("Cache-Control: max-age=600"))
	for _, c := range []struct {
		name, site, forwarded string
		status                int
	}{
		{"its own", site("purge_from 127.0.0.1", addr), "", 204},
		{"from outside", site("purge_from 10.0.0.0/8", addr), "", 403},
		{"made up, no proxy is trusted", site("purge_from 10.0.0.0/8", addr), "10.0.0.1", 403},
		{"by the proxy", behindProxy("", "purge_from 10.0.0.0/8", addr), "10.0.0.1", 204},
		{"made up, and the proxy adds the client's", behindProxy("", "purge_from 10.0.0.0/8", addr), "10.0.0.1, 203.0.113.7", 403},
		{"the same in strict mode", behindProxy("trusted_proxies_strict", "purge_from 10.0.0.0/8", addr), "10.0.0.1, 203.0.113.7", 403},
		{"no address", behindProxy("", "purge_from 10.0.0.0/8", addr), "10.0.0.1, unknown", 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := gatewaytest.Run(t, c.site)
			v := g.Client(t)
			v.Do("GET", "/a")
			var header []string
			if c.forwarded != "" {
				header = []string{"X-Forwarded-For", c.forwarded}
			}
			if a := v.Do("PURGE", "/a", header...); a.Status != c.status {
				t.Errorf("PURGE: %d %s", a.Status, a.Body)
			}
			if hit := strings.Contains(v.Do("GET", "/a").Header.Get("Cache-Status"), "hit"); hit != (c.status == 403) {
				t.Errorf("after %d the page is a hit: %t", c.status, hit)
			}
		})
	}
}

// "Practical web cache poisoning", PortSwigger, 2018, through a real reverse_proxy.
func TestAttackByForwardedHost(t *testing.T) {
	addr, _ := origin(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header["X-Forwarded-Host"], r.Header["X-Forwarded-Proto"])
	})
	for name, text := range map[string]string{"a client": site("ttl 1h", addr), "a client of a proxy": behindProxy("", "ttl 1h", addr)} {
		t.Run(name, func(t *testing.T) {
			g := gatewaytest.Run(t, text)
			v := g.Client(t)
			v.Do("GET", "/poison", "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "evil")
			if a := v.Do("GET", "/poison"); strings.Contains(a.Body, "evil") {
				t.Errorf("%s %s", a.Body, a.Header.Get("Cache-Status"))
			}
			if a := v.Do("GET", "/poison"); !strings.Contains(a.Header.Get("Cache-Status"), "hit") {
				t.Errorf("control: %s", a.Header.Get("Cache-Status"))
			}
		})
	}
}

// The explain key is told to nobody who guesses: its beginning, a longer one, none.
func TestAttackOnTheExplainKey(t *testing.T) {
	addr, _ := origin(t, page("Cache-Control: no-store"))
	g := gatewaytest.Run(t, site("explain_key 0123456789abcdef", addr))
	for guess, told := range map[string]bool{"0123456789abcdef": true, "0123456789abcde": false, "0123456789abcdef0": false, "": false, "{env.HOME}": false} {
		a := g.Client(t).Do("GET", "/a?b", "Flashgate-Explain", guess)
		got := a.Header.Get("Cache-Status")
		want := "flashgate; fwd=uri-miss"
		if told {
			want += `; key="` + g.URL + `/a?b"; detail=no-store`
		}
		if got != want {
			t.Errorf("%q: %s, want %s", guess, got, want)
		}
	}
}

// The absolute form of a request, and another case of the host, are the same page:
// "Web cache entanglement", PortSwigger, 2020. Another Host in the header beside it
// counts for nothing (RFC 9112, section 3.2.2).
func TestAttackByAbsoluteForm(t *testing.T) {
	addr, asked := origin(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) })
	g := gatewaytest.Run(t, site("ttl 1h", addr))
	host := strings.TrimPrefix(g.URL, "http://")
	send := func(text string) *http.Response {
		c, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		fmt.Fprint(c, text)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	send("GET http://" + host + "/abs HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
	a := g.Client(t).Do("GET", "/abs")
	if a.Body != host || !strings.Contains(a.Header.Get("Cache-Status"), "hit") || asked.Load() != 1 {
		t.Errorf("%q %s, the origin was asked %d times", a.Body, a.Header.Get("Cache-Status"), asked.Load())
	}
}
