package httpcache_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"flashgate/internal/httpcache"
)

// attacks send one request as the attacker (or as a victim who was lured), and then
// another one's. Without the defence the second one gets what the first one has made.
//
// Sources: "Web cache deception attack", Gil, 2017; "Practical web cache poisoning",
// 2018, "Web cache entanglement", 2020, and "Gotta cache 'em all", 2024, all PortSwigger;
// "Your cache has fallen", Nguyen, Lo Iacono and Federrath, 2019.
var attacks = []struct {
	name, defence string
	cfg           httpcache.Config
	first, second []string // path and header
	origin        http.HandlerFunc
	loot          string // of the second answer, when the attack succeeds
}{
	{"deception by a file name, Gil 2017", "types", httpcache.Config{TTL: time.Hour},
		[]string{"/account/x.css", "Cookie", "user=victim"}, []string{"/account/x.css"}, account, "victim"},
	{"deception by a file name in capitals", "types", httpcache.Config{TTL: time.Hour},
		[]string{"/account/x.JPEG", "Cookie", "user=victim"}, []string{"/account/x.JPEG"}, account, "victim"},
	{"deception by %2f..%2f, PortSwigger 2024", "paths", httpcache.Config{TTL: time.Hour},
		[]string{"/account%2f..%2fstatic/x", "Cookie", "user=victim"}, []string{"/account%2f..%2fstatic/x"}, account, "victim"},
	{"deception by %3b, PortSwigger 2024", "paths", httpcache.Config{TTL: time.Hour},
		[]string{"/account%3bx", "Cookie", "user=victim"}, []string{"/account%3bx"}, account, "victim"},
	{"deception by ;x.js, PortSwigger 2024", "paths", httpcache.Config{TTL: time.Hour},
		[]string{"/account;x", "Cookie", "user=victim"}, []string{"/account;x"}, account, "victim"},
	{"deception by %23, PortSwigger 2024", "paths", httpcache.Config{TTL: time.Hour},
		[]string{"/account%23/x", "Cookie", "user=victim"}, []string{"/account%23/x"}, account, "victim"},
	{"deception by %3f, PortSwigger 2024", "paths", httpcache.Config{TTL: time.Hour},
		[]string{"/account%3f/x", "Cookie", "user=victim"}, []string{"/account%3f/x"}, account, "victim"},
	{"deception by %00, PortSwigger 2024", "paths", httpcache.Config{TTL: time.Hour},
		[]string{"/account%00/x", "Cookie", "user=victim"}, []string{"/account%00/x"}, account, "victim"},
	{"poisoning by X-Host, PortSwigger 2018", "headers", httpcache.Config{TTL: time.Hour},
		[]string{"/", "X-Host", "evil"}, []string{"/"}, echo("X-Host"), "evil"},
	{"poisoning by X-Original-URL, PortSwigger 2018", "headers", httpcache.Config{TTL: time.Hour},
		[]string{"/", "X-Original-Url", "/evil"}, []string{"/"}, echo("X-Original-Url"), "evil"},
	{"poisoning by X-Rewrite-URL, PortSwigger 2018", "headers", httpcache.Config{TTL: time.Hour},
		[]string{"/", "X-Rewrite-Url", "/evil"}, []string{"/"}, echo("X-Rewrite-Url"), "evil"},
	{"denial by a method override, Nguyen 2019", "headers", httpcache.Config{TTL: time.Hour},
		[]string{"/", "X-Http-Method-Override", "EVIL"}, []string{"/"}, echo("X-Http-Method-Override"), "EVIL"},
	{"poisoning by X_Forwarded_Host, which is the same variable to CGI", "headers", httpcache.Config{TTL: time.Hour},
		[]string{"/", "X_forwarded_host", "evil"}, []string{"/"}, echo("X_forwarded_host"), "evil"},
	{"poisoning by X_Tenant beside a keyed X-Tenant", "headers", httpcache.Config{TTL: time.Hour, Key: httpcache.KeyParts{Headers: []string{"X-Tenant"}}},
		[]string{"/", "X_tenant", "evil"}, []string{"/"}, echo("X_tenant"), "evil"},
	{"poisoning by a method override through a trusted proxy", "headers", httpcache.Config{TTL: time.Hour, Trusted: func(*http.Request) bool { return true }},
		[]string{"/", "X-Http-Method-Override", "EVIL"}, []string{"/"}, echo("X-Http-Method-Override"), "EVIL"},
	{"poisoning by an unkeyed parameter, PortSwigger 2020", "query", httpcache.Config{TTL: time.Hour, Key: httpcache.KeyParts{Query: []string{"id"}}},
		[]string{"/?id=1&utm=evil"}, []string{"/?id=1"}, echoQuery, "evil"},
}

func account(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	fmt.Fprintf(w, "account of %s", r.Header.Get("Cookie"))
}

func echo(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header[name]) }
}

func echoQuery(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.RawQuery) }

func TestAttack(t *testing.T) {
	t.Parallel()
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			for _, off := range []bool{false, true} {
				g := newRig(t, a.cfg, a.origin)
				if off {
					g.cache.Off(a.defence)
				}
				g.get(a.first[0], a.first[1:]...)
				got := g.get(a.second[0], a.second[1:]...)
				if strings.Contains(got.body, a.loot) != off {
					t.Errorf("defence off: %t; the second one got %q, %s", off, got.body, got.cacheStatus())
				}
			}
		})
	}
}

// These are attacks whose defence is the key itself or what is never kept: there is
// nothing to switch off, so each has a control whose second request is a hit.
func TestAttackOnTheKey(t *testing.T) {
	t.Parallel()
	trusted := func(*http.Request) bool { return true }
	for name, a := range map[string]struct {
		cfg           httpcache.Config
		first, second []string
		same          []string // a request that must be a hit after the first one; nil where nothing is kept
		origin        http.HandlerFunc
		loot          string
	}{
		"redirect loop by X-Forwarded-Scheme through a trusted proxy, PortSwigger 2018": {
			httpcache.Config{TTL: time.Hour, Trusted: trusted},
			[]string{"/", "X-Forwarded-Scheme", "evil"}, []string{"/", "X-Forwarded-Scheme", "https"},
			[]string{"/", "X-Forwarded-Scheme", "evil"}, echo("X-Forwarded-Scheme"), "evil",
		},
		"poisoning by X-Forwarded-Prefix through a trusted proxy": {
			httpcache.Config{TTL: time.Hour, Trusted: trusted},
			[]string{"/", "X-Forwarded-Prefix", "evil"}, []string{"/"},
			[]string{"/", "X-Forwarded-Prefix", "evil"}, echo("X-Forwarded-Prefix"), "evil",
		},
		"a keyed field that Connection takes away, Davison 2019": {
			httpcache.Config{TTL: time.Hour, Key: httpcache.KeyParts{Headers: []string{"X-Lang"}}},
			[]string{"/", "X-Lang", "de", "Connection", "X-Lang"}, []string{"/", "X-Lang", "de"}, nil,
			func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Lang") == "" {
					fmt.Fprint(w, "evil default")
				}
			}, "evil",
		},
		"a keyed cookie that net/http takes for none": {
			httpcache.Config{TTL: time.Hour, Key: httpcache.KeyParts{Cookies: []string{"lang"}}},
			[]string{"/", "Cookie", `lang=evil"x`}, []string{"/"}, []string{"/", "Cookie", `lang=evil"x`}, echo("Cookie"), "evil",
		},
		"a keyed cookie in quotes": {
			httpcache.Config{TTL: time.Hour, Key: httpcache.KeyParts{Cookies: []string{"lang"}}},
			[]string{"/", "Cookie", `lang="de"`}, []string{"/", "Cookie", `lang=de`}, []string{"/", "Cookie", `lang="de"`}, echo("Cookie"), `"de"`,
		},
		"fat GET, PortSwigger 2020": {
			httpcache.Config{TTL: time.Hour}, []string{"/", "Transfer-Encoding", "fat"}, []string{"/"}, nil,
			func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.FormValue("q")) }, "evil",
		},
		"a cookie that is set": {
			httpcache.Config{TTL: time.Hour, TTLOverride: time.Hour}, []string{"/", "X-User", "victim"}, []string{"/"}, nil,
			func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Set-Cookie", "s="+r.Header.Get("X-User"))
			}, "victim",
		},
		"an answer to Authorization": {
			httpcache.Config{TTL: time.Hour, TTLOverride: time.Hour}, []string{"/", "Authorization", "victim"}, []string{"/"}, nil, echo("Authorization"), "victim",
		},
		"denial by an error that the attacker provokes, Nguyen 2019": {
			httpcache.Config{TTL: time.Hour, TTLOverride: time.Hour}, []string{"/", "X-Large", strings.Repeat("a", 4000)}, []string{"/"}, nil,
			func(w http.ResponseWriter, r *http.Request) {
				if len(r.Header.Get("X-Large")) > 1000 {
					w.WriteHeader(http.StatusBadRequest)
				}
			}, "400",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, a.cfg, a.origin)
			send := func(req []string) answer {
				if len(req) > 1 && req[1] == "Transfer-Encoding" {
					return g.fat(req[0])
				}
				return g.get(req[0], req[1:]...)
			}
			send(a.first)
			got := send(a.second)
			if all := fmt.Sprint(got.status, got.header["Set-Cookie"], got.body); strings.Contains(all, a.loot) || strings.Contains(got.cacheStatus(), "hit") {
				t.Errorf("the second one got %.100q, %s", all, got.cacheStatus())
			}
			if a.same != nil {
				if again := send(a.same); !strings.Contains(again.cacheStatus(), "hit") || !strings.Contains(again.body, a.loot) {
					t.Errorf("the attacker's own page: %q, %s", again.body, again.cacheStatus())
				}
			}
		})
	}
}

// fat sends a GET with a body that an origin could take for parameters.
func (g *rig) fat(path string) answer {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), "GET", g.url+path, struct{ *strings.Reader }{strings.NewReader("q=evil")})
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := client.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	return answer{status: res.StatusCode, header: res.Header}
}

// A rewrite hides neither the file name that was asked for nor the query that it made.
func TestAttackBehindARewrite(t *testing.T) {
	t.Parallel()
	client := func(r *http.Request) *url.URL { return &url.URL{Path: "/account/x.css", RawQuery: "utm=evil"} }
	for off, want := range map[bool]int64{false: 2, true: 1} {
		g := newRig(t, httpcache.Config{TTL: time.Hour, Address: client}, account)
		if off {
			g.cache.Off("types")
		}
		g.get("/index.php")
		g.get("/index.php")
		g.wantAsked(want)
	}
	g := newRig(t, httpcache.Config{TTL: time.Hour, Address: client, Key: httpcache.KeyParts{Query: []string{}}}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/css")
		fmt.Fprint(w, r.URL.RawQuery)
	})
	for _, query := range []string{"page=1", "page=2", "page=1"} {
		if a := g.get("/index.php?" + query); a.body != query {
			t.Errorf("%s got %q", query, a.body)
		}
	}
	g.wantAsked(2)
}
