package hiddenpath_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/gatewaytest"
)

// wantUnknown is the answer to a repeat when the first answer is not known.
func wantUnknown(t testing.TB, a gatewaytest.Answer, what string) {
	t.Helper()
	if a.Status != 504 || a.Code() != flashgate.CodeUnknownOutcome || a.Header.Get("Retry-After") != "1" || a.Header.Get("Location") != "" ||
		a.Header.Get("Referrer-Policy") != "no-referrer" || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Idempotent-Replayed") != "" {
		t.Errorf("%s: %+v, want unknown_outcome", what, a)
	}
}

// eventually polls until f is true.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); !f(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in 10 s", what)
		}
	}
}

// Whatever an origin answers, a repeat gets it again to the last byte, and the origin
// hears nothing of it.
func TestAnswersThatAreGivenAgain(t *testing.T) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	cases := map[string]http.HandlerFunc{
		"nothing":     func(w http.ResponseWriter, r *http.Request) {},
		"created":     func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Location", "/x/7"); w.WriteHeader(201) },
		"no content":  func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) },
		"redirect":    func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/done", http.StatusSeeOther) },
		"refused":     func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusUnprocessableEntity) },
		"its own 404": func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) },
		"bytes":       func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(bytes.Repeat(every, 200)) },
		"no type":     func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("<html><p>a page")) },
		"headers": func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h["Set-Cookie"] = []string{"a=1; Path=/", "b=2"}
			h.Set("Cache-Control", "public, max-age=60")
			h.Add("Cache-Control", "immutable")
			h.Set("CDN-Cache-Control", "max-age=60")
			h.Set("Referrer-Policy", "unsafe-url")
			h.Set("Date", "Mon, 02 Jan 2006 15:04:05 GMT")
			h.Set("X-Empty", "")
			_, _ = w.Write([]byte("ok"))
		},
		"streamed": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			for range 3 {
				_, _ = w.Write([]byte("part "))
				w.(http.Flusher).Flush()
			}
		},
		"trailers": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			_, _ = w.Write([]byte("body"))
			w.Header().Set("X-Sum", "7")
			w.Header().Set(http.TrailerPrefix+"X-Late", "8")
		},
		"compressed on the way": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = w.Write(bytes.Repeat([]byte("again and "), 1000))
		},
	}
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { cases[r.Header.Get("X-Case")](w, r) })
	g := gatewaytest.Run(t, strings.Replace(o.inFront(downloads), "reverse_proxy", "encode\nreverse_proxy", 1))
	c := g.Client(t)
	ask := func(path string, header ...string) (a gatewaytest.Answer, trailer http.Header) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "POST", c.URL()+path, strings.NewReader("the order"))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		res, err := c.HTTP.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		res.Header.Del("Connection") // of this connection only
		return gatewaytest.Answer{Status: res.StatusCode, Header: res.Header, Body: string(body)}, res.Trailer
	}
	n := int64(0)
	for name := range cases {
		n++
		token := mintAt(t, c, "/files/7/link")
		first, trailer := ask("/files/7/get/"+token, "X-Case", name, "Accept-Encoding", "gzip")
		h := first.Header
		if len(h["Cache-Control"]) != 1 || h.Get("Cache-Control") != "no-store" || len(h["Referrer-Policy"]) != 1 || h.Get("Referrer-Policy") != "no-referrer" || h["Cdn-Cache-Control"] != nil {
			t.Errorf("%s: header %v", name, h)
		}
		for range 2 {
			again, t2 := ask("/files/7/get/"+token, "X-Case", "refused", "Accept-Encoding", "identity")
			if first.Header["Content-Length"] == nil { // the frames of a stream are not the answer
				again.Header.Del("Content-Length")
			}
			wantReplay(t, first, again)
			if trailer.Get("X-Sum") != t2.Get("X-Sum") || trailer.Get("X-Late") != t2.Get("X-Late") {
				t.Errorf("%s: trailer %v, want %v", name, t2, trailer)
			}
		}
		if name == "trailers" && (trailer.Get("X-Sum") != "7" || trailer.Get("X-Late") != "8") {
			t.Errorf("the first trailer is %v", trailer)
		}
		if name == "compressed on the way" && first.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("it was not compressed: %v", first.Header)
		}
		o.wantCalls(t, n, name)
	}
}

// Where the first answer is not known, a repeat is told so, and the origin is not asked
// a second time.
func TestAnswersThatAreNotKnown(t *testing.T) {
	cases := map[string]http.HandlerFunc{
		"an error":  func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) },
		"too busy":  func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) },
		"too large": func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(make([]byte, 64<<10)) },
		"much too large": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.CopyN(w, zeros{}, 10<<20)
		},
		"a long header": func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Long", strings.Repeat("x", 65<<10)) },
		"broken off": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write([]byte("half"))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
		"no answer": func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
		"another protocol": func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello"))
				_ = conn.Close()
			}
		},
	}
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { cases[r.Header.Get("X-Case")](w, r) })
	g := gatewaytest.Run(t, strings.Replace(o.inFront(downloads), "reverse_proxy", "@error header X-Case handler\nerror @error 403\nreverse_proxy", 1))
	c := g.Client(t)
	names := []string{"handler"}
	for name := range cases {
		names = append(names, name)
	}
	n := int64(0)
	for _, name := range names {
		token := mintAt(t, c, "/files/7/link")
		header := []string{"X-Case", name}
		if name == "another protocol" {
			header = append(header, "Connection", "Upgrade", "Upgrade", "x")
		}
		first, err := c.Try(t.Context(), "POST", "/files/7/get/"+token, header...)
		if err == nil && first.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %+v", name, first.Header)
		}
		if name != "handler" { // refused in the gateway
			n++
		}
		for range 2 {
			wantUnknown(t, c.Do("POST", "/files/7/get/"+token, "X-Case", "created"), name)
		}
		o.wantCalls(t, n, name)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A client that leaves does not cancel what it began: its effect happens once, and a
// repeat gets the answer as soon as there is one.
func TestALostAnswerCanBeAskedForAgain(t *testing.T) {
	arrived, finish := make(chan context.Context), make(chan struct{})
	body := strings.Repeat("answer ", 9000) // 63,000 bytes
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		if r.Header.Get("X-Early") != "" { // part of the answer is on its way when the client leaves
			_, _ = io.WriteString(w, body[:7000])
			w.(http.Flusher).Flush()
		}
		arrived <- r.Context()
		select {
		case <-finish:
		case <-r.Context().Done():
			t.Error("the origin's request was cancelled")
			return
		}
		if r.Header.Get("X-Early") != "" {
			_, _ = io.WriteString(w, body[7000:])
		} else {
			_, _ = io.WriteString(w, body)
		}
	})
	g := gatewaytest.Run(t, o.inFront(downloads))
	c := g.Client(t)
	for n, early := range []string{"", "yes"} {
		token := mintAt(t, c, "/files/7/link")
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() {
			req, err := http.NewRequestWithContext(ctx, "POST", c.URL()+"/files/7/get/"+token, strings.NewReader("x"))
			if err == nil {
				req.Header.Set("X-Early", early)
				var res *http.Response
				if res, err = c.HTTP.Do(req); err == nil {
					_, err = io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
			}
			left <- err
		}()
		<-arrived
		wantUnknown(t, c.Do("POST", "/files/7/get/"+token), "under way")
		leave()
		if err := <-left; err == nil {
			t.Fatal("the first client has an answer")
		}
		// The gateway has seen it go, if it looks: it goes on all the same.
		for range 20 {
			wantUnknown(t, c.Do("POST", "/files/7/get/"+token), "the client has left")
		}
		finish <- struct{}{}
		var a gatewaytest.Answer
		eventually(t, "the answer is known", func() bool {
			a = c.Do("POST", "/files/7/get/"+token)
			return a.Status != 504
		})
		if a.Status != 200 || a.Body != body || a.Header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("asked again: %d, %d bytes, %v", a.Status, len(a.Body), a.Header)
		}
		o.wantCalls(t, int64(n+1), "the client has left")
	}
}

// After the token's end nobody gets the answer, and a request that still runs without
// a client is cancelled.
func TestAnswersEndWithTheToken(t *testing.T) {
	cancelled := make(chan struct{})
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Wait") != "" {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			close(cancelled)
		}
	})
	g := gatewaytest.Run(t, strings.Replace(o.inFront(downloads), "user ", "ttl 1s\nuser ", 1))
	c := g.Client(t)
	token := mintAt(t, c, "/files/7/link")
	minted := time.Now()
	if a := c.Do("POST", "/files/7/get/"+token); a.Status != 200 {
		t.Fatalf("%+v", a)
	}
	eventually(t, "the answer is over", func() bool {
		a := c.Do("POST", "/files/7/get/"+token)
		if a.Code() == flashgate.CodePathInvalid && time.Since(minted) < 900*time.Millisecond {
			t.Error("it was over too early")
		}
		return a.Code() == flashgate.CodePathInvalid
	})
	o.wantCalls(t, 1, "after the end")
	token = mintAt(t, c, "/files/7/link")
	ctx, leave := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer leave()
	if a, err := c.Try(ctx, "POST", "/files/7/get/"+token, "X-Wait", "yes"); err == nil {
		t.Fatalf("%+v", a)
	}
	select {
	case <-cancelled:
	case <-time.After(10 * time.Second):
		t.Error("the origin still works for nobody")
	}
}
