package httpcache_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flashgate/internal/httpcache"
)

// gate is an origin that answers when the test says so.
type gate struct {
	entered chan *http.Request
	open    chan struct{}
}

func newGate() *gate { return &gate{make(chan *http.Request, 100), make(chan struct{})} }

func (o *gate) wait(r *http.Request) {
	o.entered <- r
	select {
	case <-o.open:
	case <-r.Context().Done():
	}
}

// crowd sends n requests at once; wait returns when all are answered.
func crowd(g *rig, n int, header func(i int) []string) (answers []answer, wait func()) {
	answers = make([]answer, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { answers[i] = g.get("/", header(i)...) })
	}
	return answers, wg.Wait
}

func plain(int) []string { return nil }

func TestCollapse(t *testing.T) {
	t.Parallel()
	o := newGate()
	g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
		o.wait(r)
		fields("Cache-Control: max-age=60")(w, r)
	})
	answers, wait := crowd(g, 50, plain)
	<-o.entered
	poll(t, "49 wait", func() bool { return g.cache.Waiters() == 49 })
	close(o.open)
	wait()
	g.wantAsked(1)
	kinds := map[string]int{}
	for _, a := range answers {
		kinds[a.cacheStatus()]++
		if a.status != 200 || a.body != "page" {
			t.Errorf("%+v", a)
		}
	}
	if kinds["flashgate; fwd=uri-miss; stored"] != 1 || kinds["flashgate; fwd=uri-miss; collapsed"] != 49 {
		t.Errorf("%v", kinds)
	}
}

// Those who waited for an answer that is not for everybody go on side by side.
func TestCollapseOfPrivate(t *testing.T) {
	t.Parallel()
	o, all := newGate(), make(chan struct{})
	var at atomic.Int64
	g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
		if at.Add(1) == 1 {
			o.wait(r)
		} else {
			if at.Load() == 10 {
				close(all)
			}
			<-all // nine at once, or nobody
		}
		w.Header().Set("Cache-Control", "private")
		fmt.Fprint(w, r.Header.Get("Cookie"))
	})
	answers, wait := crowd(g, 10, func(i int) []string { return []string{"Cookie", "user=" + strconv.Itoa(i)} })
	<-o.entered
	poll(t, "nine wait", func() bool { return g.cache.Waiters() == 9 })
	close(o.open)
	wait()
	for i, a := range answers {
		if a.body != "user="+strconv.Itoa(i) {
			t.Errorf("%d got %q", i, a.body)
		}
	}
	g.wantAsked(10)
}

func TestCollapseOfVariants(t *testing.T) {
	t.Parallel()
	o := newGate()
	g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
		o.wait(r)
		w.Header().Set("Vary", "Accept-Language")
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, r.Header.Get("Accept-Language"))
	})
	lang := func(i int) string { return []string{"de", "en"}[i%2] }
	answers, wait := crowd(g, 20, func(i int) []string { return []string{"Accept-Language", lang(i)} })
	<-o.entered
	poll(t, "19 wait", func() bool { return g.cache.Waiters() == 19 })
	close(o.open)
	wait()
	for i, a := range answers {
		if a.body != lang(i) {
			t.Errorf("%s got %q", lang(i), a.body)
		}
	}
	g.wantAsked(2)
}

// A client that leaves takes nobody with it; when all have left, the origin is told.
func TestLeaving(t *testing.T) {
	t.Parallel()
	o := newGate()
	g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
		o.wait(r)
		fields("Cache-Control: max-age=60")(w, r)
	})
	try := func(ctx context.Context) chan answer {
		done := make(chan answer, 1)
		req, _ := http.NewRequestWithContext(ctx, "GET", g.url+"/", nil)
		go func() {
			res, err := client.Do(req)
			if err != nil {
				done <- answer{}
				return
			}
			defer res.Body.Close()
			b, _ := io.ReadAll(res.Body)
			done <- answer{res.StatusCode, res.Header, string(b)}
		}()
		return done
	}
	leaderCtx, leaderLeaves := context.WithCancel(t.Context())
	leader := try(leaderCtx)
	<-o.entered
	waiter := try(t.Context())
	poll(t, "one waits", func() bool { return g.cache.Waiters() == 1 })
	leaderLeaves()
	<-leader
	poll(t, "the cache has noticed", func() bool { return g.cache.Leaderless() == 1 })
	close(o.open)
	if a := <-waiter; a.body != "page" || a.cacheStatus() != "flashgate; fwd=uri-miss; collapsed" {
		t.Errorf("%+v", a)
	}
	g.wantAsked(1)

	// All leave.
	g.do("POST", "/") // forget the page; the gate is open
	o.open = make(chan struct{})
	for len(o.entered) > 0 {
		<-o.entered
	}
	ctx, leave := context.WithCancel(t.Context())
	one := try(ctx)
	atOrigin := <-o.entered
	two := try(ctx)
	poll(t, "one waits", func() bool { return g.cache.Waiters() == 1 })
	leave()
	<-one
	<-two
	select {
	case <-atOrigin.Context().Done():
	case <-time.After(10 * time.Second):
		t.Error("the origin works for nobody")
	}
	// Nothing is left of it: the next one asks anew.
	poll(t, "it is over", func() bool { return g.cache.Flights() == 0 })
	close(o.open)
	if a := g.get("/"); a.body != "page" || a.cacheStatus() != "flashgate; fwd=uri-miss; stored" {
		t.Errorf("%+v", a)
	}
}

// The answer of an endless stream ends with its client.
func TestLeavingAStream(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	g := newRig(t, httpcache.Config{TTL: time.Minute}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(over)
	})
	ctx, leave := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, "GET", g.url+"/", nil)
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil || line != "data: 1\n" {
		t.Errorf("%q, %v", line, err)
	}
	leave()
	_ = res.Body.Close()
	select {
	case <-over:
	case <-time.After(10 * time.Second):
		t.Error("the stream goes on without a client")
	}
}

// The first client gets the page while it comes in.
func TestStreaming(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, "first ")
		_ = http.NewResponseController(w).Flush()
		<-more
		fmt.Fprint(w, "second")
	})
	res, err := client.Get(g.url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	part := make([]byte, 6)
	if _, err := io.ReadFull(res.Body, part); err != nil || string(part) != "first " {
		t.Errorf("%q, %v", part, err)
	}
	close(more)
	rest, err := io.ReadAll(res.Body)
	if err != nil || string(rest) != "second" {
		t.Errorf("%q, %v", rest, err)
	}
	if a := g.get("/"); a.body != "first second" || a.cacheStatus() != "flashgate; hit; ttl=60" {
		t.Errorf("%+v", a)
	}
}

// A first client that reads nothing holds up nobody.
func TestSlowFirstClient(t *testing.T) {
	t.Parallel()
	page := strings.Repeat("x", 32<<20) // more than any socket buffers
	o := newGate()
	g := newRig(t, httpcache.Config{MaxBody: 64 << 20}, func(w http.ResponseWriter, r *http.Request) {
		o.wait(r)
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, page)
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: "+strings.TrimPrefix(g.url, "http://")+"\r\n\r\n")
	<-o.entered
	close(o.open)
	if a := g.get("/"); len(a.body) != len(page) {
		t.Errorf("%d bytes, %v", len(a.body), a.header)
	}
	g.wantAsked(1)
}

// Bodies that are too large, broken off or of the wrong length pass and are not kept.
func TestNotWhole(t *testing.T) {
	t.Parallel()
	const limit = 10000
	for name, c := range map[string]struct {
		write func(w http.ResponseWriter)
		kept  bool
		bytes int
	}{
		"at the limit":               {func(w http.ResponseWriter) { _, _ = w.Write(make([]byte, limit)) }, true, limit},
		"over the limit, undeclared": {func(w http.ResponseWriter) { flushed(w, limit/2); flushed(w, limit/2+1) }, false, limit + 1},
		"over the limit, declared": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", strconv.Itoa(limit+1))
			_, _ = w.Write(make([]byte, limit+1))
		}, false, limit + 1},
		"broken off": {func(w http.ResponseWriter) { flushed(w, 100); panic(http.ErrAbortHandler) }, false, 100},
		"less than declared": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "200")
			flushed(w, 100)
		}, false, 100},
		"nothing, as declared": {func(w http.ResponseWriter) { w.Header().Set("Content-Length", "0") }, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, httpcache.Config{MaxBody: limit}, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				c.write(w)
			})
			for i := range 2 {
				res, err := client.Get(g.url)
				if name == "less than declared" {
					// The connection ends before a buffer was full: nothing is heard of it.
					if err == nil {
						t.Errorf("%v", res.Header)
						_ = res.Body.Close()
					}
					g.wantAsked(int64(i + 1))
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if len(b) != c.bytes || (err != nil) != (name == "broken off") {
					t.Errorf("%d bytes, %v", len(b), err)
				}
				if hit := strings.Contains(res.Header.Get("Cache-Status"), "hit"); hit != (c.kept && i == 1) {
					t.Errorf("request %d: %q", i, res.Header.Get("Cache-Status"))
				}
			}
		})
	}
}

func flushed(w http.ResponseWriter, n int) {
	_, _ = w.Write(bytes.Repeat([]byte("x"), n))
	_ = http.NewResponseController(w).Flush()
}

// A page that was asked for before a change is not kept after it.
func TestInvalidationDuringAFill(t *testing.T) {
	t.Parallel()
	o := newGate()
	g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			o.wait(r)
		}
		fields("Cache-Control: max-age=60")(w, r)
	})
	answers, wait := crowd(g, 1, plain)
	<-o.entered
	g.do("PATCH", "/")
	close(o.open)
	wait()
	if answers[0].body != "page" {
		t.Errorf("%+v", answers[0])
	}
	if a := g.get("/"); !strings.Contains(a.cacheStatus(), "fwd=uri-miss") {
		t.Errorf("the page from before the change was kept: %q", a.cacheStatus())
	}
}

// A change that failed changes nothing.
func TestFailedChange(t *testing.T) {
	t.Parallel()
	g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if r.Method == "POST" {
			w.WriteHeader(409)
		}
	})
	g.get("/")
	g.do("POST", "/")
	if a := g.get("/"); a.cacheStatus() != "flashgate; hit; ttl=60" {
		t.Errorf("%q", a.cacheStatus())
	}
}
