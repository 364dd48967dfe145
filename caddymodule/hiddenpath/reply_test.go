package hiddenpath_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"flashgate/caddymodule/hiddenpath"
)

// What is kept is what a client of this one connection could see, and no more.
func TestWhatIsKept(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	w.Header().Set("Server", "outside")
	kept := hiddenpath.Record(w, t.Context(), func(w http.ResponseWriter) {
		h := w.Header()
		h.Set("Connection", "keep-alive, x-hop")
		h.Set("X-Hop", "1")
		h.Set("Keep-Alive", "timeout=5")
		h.Set("Transfer-Encoding", "chunked")
		h.Set("Trailer", "X-Sum, x-other")
		h["X-Two"] = []string{"a", "b"}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "body")
		h.Set("X-Sum", "7")
		h.Set(http.TrailerPrefix+"X-Late", "8")
		h.Set("X-Nothing", "after the header")
	})
	again := httptest.NewRecorder()
	again.Header().Set("X-Outside", "of the second request")
	if !hiddenpath.Replay(again, kept) {
		t.Fatalf("not a reply: %q", kept)
	}
	got := again.Result()
	date := w.Result().Header.Get("Date")
	if date == "" {
		t.Error("the first answer has no date")
	}
	want := http.Header{
		"Server": {"outside"}, "X-Two": {"a", "b"}, "Date": {date}, "Cache-Control": {"no-store"}, "Referrer-Policy": {"no-referrer"},
		"Idempotent-Replayed": {"true"},
	}
	// Those of the trailer are there with their prefix, for net/http to send.
	for name, value := range map[string]string{"X-Sum": "7", "X-Late": "8"} {
		if again.Header().Get(http.TrailerPrefix+name) != value {
			t.Errorf("trailer %s is missing: %v", name, again.Header())
		}
		delete(got.Header, http.TrailerPrefix+name)
	}
	if got.StatusCode != 202 || again.Body.String() != "body" || !equalHeaders(got.Header, want) {
		t.Errorf("%d %v %q\nwant header %v", got.StatusCode, got.Header, again.Body, want)
	}
}

// deaf is a connection that takes no more than the header.
type deaf struct {
	http.ResponseWriter
	err error
}

func (d deaf) Write([]byte) (int, error) { return 0, d.err }
func (d deaf) FlushError() error         { return d.err }

func TestWhoIsGoneIsNoMistakeOfTheHandler(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	gone, leave := context.WithCancel(t.Context())
	leave()
	w := deaf{httptest.NewRecorder(), broken}
	kept := hiddenpath.Record(w, gone, func(w http.ResponseWriter) {
		for range 3 {
			if n, err := io.WriteString(w, "part "); n != 5 || err != nil {
				t.Errorf("the client is gone: %d, %v", n, err)
			}
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Errorf("flush: %v", err)
			}
		}
		if n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("end")); n != 3 || err != nil {
			t.Errorf("ReadFrom: %d, %v", n, err)
		}
	})
	again := httptest.NewRecorder()
	if !hiddenpath.Replay(again, kept) || again.Body.String() != "part part part end" {
		t.Errorf("kept %q", again.Body)
	}
	// Nobody reads what does not fit.
	kept = hiddenpath.Record(w, gone, func(w http.ResponseWriter) {
		if _, err := w.Write(make([]byte, hiddenpath.MaxReply)); !errors.Is(err, broken) {
			t.Errorf("more than fits: %v", err)
		}
	})
	if kept != nil {
		t.Errorf("%d bytes are kept", len(kept))
	}
	// An error while the client is there is the handler's.
	kept = hiddenpath.Record(w, t.Context(), func(w http.ResponseWriter) {
		if _, err := io.WriteString(w, "x"); !errors.Is(err, broken) {
			t.Errorf("the client is there: %v", err)
		}
		if err := http.NewResponseController(w).Flush(); !errors.Is(err, broken) {
			t.Errorf("flush: %v", err)
		}
	})
	if kept != nil {
		t.Errorf("an answer that failed is kept: %q", kept)
	}
}

func TestProtocolsAreNotSwitchedTwice(t *testing.T) {
	t.Parallel()
	if kept := hiddenpath.Record(httptest.NewRecorder(), t.Context(), func(w http.ResponseWriter) { w.WriteHeader(101) }); kept != nil {
		t.Errorf("kept %q", kept)
	}
	kept := hiddenpath.Record(httptest.NewRecorder(), t.Context(), func(w http.ResponseWriter) {
		w.WriteHeader(200)
		_, _, _ = http.NewResponseController(w).Hijack()
	})
	if kept != nil {
		t.Errorf("hijacked: kept %q", kept)
	}
}

// FuzzReply: whatever is in the store is a reply, or not, and never a panic; a reply that
// is read and recorded again is the same.
func FuzzReply(f *testing.F) {
	f.Add(hiddenpath.Record(httptest.NewRecorder(), f.Context(), func(w http.ResponseWriter) { _, _ = io.WriteString(w, "body") }))
	f.Add(hiddenpath.Record(httptest.NewRecorder(), f.Context(), func(w http.ResponseWriter) {
		w.Header().Set("Date", "now")
		w.WriteHeader(204)
		w.Header().Set(http.TrailerPrefix+"X", "1")
	}))
	f.Add([]byte("r\x01\xff\xff\xff\xff\x00\xc8\x00\x00"))
	f.Add([]byte("r\x01\x00\x00\x00\x00\x00\xc8\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add([]byte("f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		first := httptest.NewRecorder()
		if !hiddenpath.Replay(first, b) {
			return
		}
		if len(b) < 2 || b[0] != 'r' || b[1] != 1 {
			t.Fatalf("a reply of another version: %q", b)
		}
		kept := hiddenpath.Record(httptest.NewRecorder(), t.Context(), func(w http.ResponseWriter) { hiddenpath.Replay(w, b) })
		if kept == nil { // 5xx, or a length that is wrong
			return
		}
		second := httptest.NewRecorder()
		if !hiddenpath.Replay(second, kept) || first.Code != second.Code || !bytes.Equal(first.Body.Bytes(), second.Body.Bytes()) {
			t.Errorf("%d %q became %d %q", first.Code, first.Body, second.Code, second.Body)
		}
	})
}
