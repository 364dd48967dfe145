package captcha

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"flashgate"
	"flashgate/internal/challenge"
)

// maxBody bounds the body of a request that brings an answer, in bytes.
const maxBody = 4 << 10

// verify lets through who brings the right answer. Without an answer nothing is
// burnt; any answer burns the challenge.
func (h *Handler) verify(r *http.Request, scope string) error {
	given, err := readAnswer(r)
	if err != nil {
		return err
	}
	if strings.TrimSpace(given) == "" {
		return flashgate.Errorf(flashgate.CodeCaptchaRequired, op, "Fetch a captcha and send its answer in the member captcha.")
	}
	wrong := flashgate.Errorf(flashgate.CodeCaptchaWrong, op, "Fetch a new captcha: each counts once, and for a short time.")
	visitor := h.known(r)
	if visitor == "" {
		return wrong // never asked for one
	}
	who := h.guesser(r, visitor)
	if err := h.barred(who); err != nil {
		return err
	}
	if h.pow != nil && (h.pool == nil || strings.Contains(given, ".")) {
		switch ok, err := h.proved(r, visitor, scope, given); {
		case err != nil:
			return err
		case !ok:
			return wrong
		}
		return nil
	}
	value, ok, err := h.app.OneTime().Take(r.Context(), answerKey(visitor, scope))
	if err != nil {
		return err
	}
	if ok && challenge.Equal(recall(value), given) {
		return nil
	}
	if ok {
		if err := h.failed(r, who); err != nil {
			return err
		}
	}
	return wrong
}

// readAnswer takes the answer out of the body and leaves the body to the next
// handler as it was.
func readAnswer(r *http.Request) (string, error) {
	if r.Body == nil {
		return "", nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return "", &flashgate.Error{Code: flashgate.CodeInvalid, Op: op, Field: "body", Message: "could not be read", Err: err}
	}
	if len(body) > maxBody {
		return "", flashgate.Errorf(flashgate.CodeTooLarge, op, "At most %d bytes are allowed.", maxBody)
	}
	r.Body = readCloser{bytes.NewReader(body), r.Body}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return parseAnswer(kind, body)
}

type readCloser struct {
	io.Reader
	io.Closer
}

// parseAnswer reads a form, or a JSON object; other members are the next handler's.
func parseAnswer(kind string, body []byte) (string, error) {
	if kind == "application/x-www-form-urlencoded" {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return "", &flashgate.Error{Code: flashgate.CodeInvalid, Op: op, Field: "captcha", Message: "is not in a form that can be read", Err: err}
		}
		return form.Get("captcha"), nil
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return "", nil
	}
	var in struct {
		Captcha string `json:"captcha"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		e := &flashgate.Error{Code: flashgate.CodeInvalid, Op: op, Field: "captcha", Message: `must be a string, in a JSON object: {"captcha":"17"}`, Err: err}
		if _, ok := errors.AsType[*json.SyntaxError](err); ok {
			e.Message = `must come in a JSON object: {"captcha":"17"}`
		}
		return "", e
	}
	return in.Captcha, nil
}
