package pagecache_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"

	"flashgate/caddymodule/gatewaytest"
)

// An event arrives before the stream has ended.
func TestEventStream(t *testing.T) {
	read := make(chan struct{})
	addr, _ := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "max-age=600")
		fmt.Fprint(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		<-read
		fmt.Fprint(w, "data: 2\n\n")
	})
	g := gatewaytest.Run(t, site("ttl 1h", addr))
	for range 2 {
		res, err := g.Client(t).HTTP.Get(g.URL + "/events")
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(res.Body)
		if line, err := lines.ReadString('\n'); line != "data: 1\n" || err != nil {
			t.Fatalf("%q %v", line, err)
		}
		read <- struct{}{}
		if rest, err := io.ReadAll(lines); string(rest) != "\ndata: 2\n\n" || err != nil {
			t.Errorf("%q %v", rest, err)
		}
		res.Body.Close()
		if got := res.Header.Get("Cache-Status"); got != "flashgate; fwd=uri-miss" {
			t.Error(got)
		}
	}
}

// A connection that is upgraded is the origin's and the client's alone.
func TestUpgrade(t *testing.T) {
	addr, _ := origin(t, func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		rw.Flush()
		line, _ := rw.ReadString('\n')
		fmt.Fprint(rw, strings.ToUpper(line))
		rw.Flush()
	})
	g := gatewaytest.Run(t, site("ttl 1h", addr))
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", strings.TrimPrefix(g.URL, "http://"))
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != 101 || res.Header.Get("Cache-Status") != "flashgate; fwd=bypass" {
		t.Fatalf("%v %v", res, err)
	}
	fmt.Fprint(conn, "hello\n")
	if line, err := in.ReadString('\n'); line != "HELLO\n" {
		t.Errorf("%q %v", line, err)
	}
}

// Early hints come through before an answer that is not kept.
func TestEarlyHints(t *testing.T) {
	hinted := make(chan struct{})
	addr, _ := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		<-hinted
		w.Header().Set("Cache-Control", "no-store")
		fmt.Fprint(w, "page")
	})
	g := gatewaytest.Run(t, site("ttl 1h", addr))
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		if code == 103 && h.Get("Link") != "" {
			close(hinted)
		}
		return nil
	}})
	req, err := http.NewRequestWithContext(ctx, "GET", g.URL+"/hints", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := g.Client(t).HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); string(body) != "page" {
		t.Errorf("%q", body)
	}
}

// What an answer names by Location is what clients ask for, also behind a rewrite.
func TestLocationBehindARewrite(t *testing.T) {
	addr, _ := origin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			w.Header().Set("Location", "1")
			w.WriteHeader(http.StatusCreated)
		}
	})
	g := gatewaytest.Run(t, "SITE {\n\trewrite * /index.php\n\tpage_cache {\n\t\tttl 1h\n\t}\n\treverse_proxy "+addr+"\n}")
	c := g.Client(t)
	for range 2 {
		c.Do("GET", "/goods/1")
		c.Do("GET", "/goods/2")
	}
	if a := c.Do("POST", "/goods/"); a.Status != 201 {
		t.Fatal(a.Status)
	}
	if one, two := hit(c.Do("GET", "/goods/1")), hit(c.Do("GET", "/goods/2")); one || !two {
		t.Errorf("after POST: /goods/1 hit %t, /goods/2 hit %t", one, two)
	}
}

// An origin that compresses and forgets Vary: nobody gets a coding that he did not ask for.
func TestCodingWithoutVary(t *testing.T) {
	addr, _ := origin(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept-Encoding"), "br") {
			w.Header().Set("Content-Encoding", "br")
		}
		fmt.Fprint(w, "bytes")
	})
	g := gatewaytest.Run(t, site("ttl 1h", addr))
	c := g.Client(t)
	if a := c.Do("GET", "/v", "Accept-Encoding", "br"); a.Header.Get("Content-Encoding") != "br" || !strings.HasSuffix(a.Header.Get("Cache-Status"), "stored") {
		t.Errorf("br: %v", a.Header)
	}
	for range 2 {
		if a := c.Do("GET", "/v", "Accept-Encoding", "identity"); a.Header.Get("Content-Encoding") != "" {
			t.Errorf("identity: %v", a.Header)
		}
	}
}
