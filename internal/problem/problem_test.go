package problem_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/problem"
)

func TestWriteKeepsTheCauseToItself(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		errors.New("secret cause"),
		fmt.Errorf("wrapped: %w", &flashgate.Error{Code: flashgate.CodeUnavailable, Err: errors.New("secret cause")}),
	} {
		w := httptest.NewRecorder()
		problem.Write(w, err)
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("the body shows the cause: %s", w.Body)
		}
		if got := w.Header().Get("Content-Type"); got != problem.ContentType {
			t.Errorf("Content-Type = %q", got)
		}
		if got := w.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control = %q", got)
		}
	}
}

func TestWriteCarriesTheExtensions(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	problem.Write(w, &flashgate.Error{
		Code: flashgate.CodeUnknownOutcome, Message: "Poll the order.", Order: "1.x", RetryAfter: 1200 * time.Millisecond,
	})
	var got problem.Document
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := problem.Document{Type: "about:blank", Title: "The outcome is not known yet", Status: 504,
		Detail: "Poll the order.", Code: "unknown_outcome", Order: "1.x"}
	if got != want || w.Code != 504 {
		t.Errorf("status %d, document %+v, want %+v", w.Code, got, want)
	}
	if got := w.Header().Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After = %q, want 2 (rounded up)", got)
	}
	if got := w.Header().Get("Location"); got != "/api/orders/1.x" {
		t.Errorf("Location = %q", got)
	}
}

// The hand-written document is the one that package json writes.
func TestBodyIsWhatJSONWrites(t *testing.T) {
	t.Parallel()
	texts := []string{"", "plain", "<", ">", "&", `"`, `\`, `a "quote" and \`, "line\nend", "<b>&amp;</b>", "Grüße, 世界", "\u2028", "\x00\x1f\x7f", "broken \xff"}
	for _, code := range []flashgate.Code{flashgate.CodeRateLimited, flashgate.CodeInvalid, flashgate.CodeInternal, "no such code"} {
		for i, text := range texts {
			err := &flashgate.Error{Code: code, Message: text, Field: texts[(i+1)%len(texts)], Order: flashgate.OrderID(texts[(i+2)%len(texts)])}
			want, e := json.Marshal(problem.New(err))
			if e != nil {
				t.Fatal(e)
			}
			w := httptest.NewRecorder()
			problem.Write(w, err)
			if got := w.Body.String(); got != string(want)+"\n" {
				t.Errorf("got  %swant %s", got, want)
			}
		}
	}
}
