package captcha

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/internal/problem"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Alone the directive guards whatever its matcher says. Its own requests are those with
// this parameter, at any address that it guards: so no route of the site's is taken.
const param = "flashgate-captcha"

// The values of the parameter.
const (
	askImage  = "image"
	askAudio  = "audio"
	askProof  = "pow"
	askWorker = "worker.js"
	askScript = "page.js"
	askAnswer = "answer"
)

//go:embed page
var files embed.FS

var (
	page      = template.Must(template.ParseFS(files, "page/page.html"))
	styleText = mustRead("page/style.css")
	scripts   = map[string][]byte{askScript: mustRead("page/page.js"), askWorker: mustRead("page/worker.js")}
	policy    = contentPolicy(styleText)
)

func mustRead(name string) []byte {
	text, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded
	}
	return text
}

// contentPolicy allows what the page has, and nothing from anywhere else (Content
// Security Policy Level 3).
func contentPolicy(style []byte) string {
	sum := sha256.Sum256(style)
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; img-src 'self'; media-src 'self'; " +
		"script-src 'self'; worker-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}

// alone serves the page and what belongs to it, and lets through who has solved one.
func (h *Handler) alone(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	const scope = "page"
	asked := r.URL.Query().Get(param)
	get := r.Method == http.MethodGet
	switch {
	case asked == askAnswer && r.Method == http.MethodPost:
		return h.answered(w, r, scope)
	case get && (asked == askScript || asked == askWorker):
		return sendScript(w, asked)
	case get && (asked == askImage || asked == askAudio) && h.pool != nil:
		return h.challenge(w, r, scope, asked)
	case get && asked == askProof && h.pow != nil:
		return h.askProof(w, r, scope)
	case h.hasPass(r):
		app.CountDecision(op, "passed")
		return next.ServeHTTP(w, r)
	}
	return h.ask(w, r, flashgate.Errorf(flashgate.CodeCaptchaRequired, op, "Solve a captcha to go on."), "")
}

// answered judges an answer and lets through for a while who was right.
func (h *Handler) answered(w http.ResponseWriter, r *http.Request, scope string) error {
	if err := h.verify(r, scope); err != nil {
		wrong := "That was not right. Here is another one."
		switch flashgate.ErrorCode(err) {
		case flashgate.CodeCaptchaRequired:
			wrong = "Type the answer."
		case flashgate.CodeRateLimited:
			wrong = "Too many answers were wrong. Wait a while and try again."
		case flashgate.CodeCaptchaWrong:
		default:
			return h.refuse(w, r, err)
		}
		return h.ask(w, r, err, wrong)
	}
	if err := h.grantPass(w, r); err != nil {
		return h.refuse(w, r, err)
	}
	app.CountDecision(op, "solved")
	w.Header().Set("Cache-Control", "no-store")
	if wantsPage(r) {
		w.Header().Set("Location", back(r))
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// back is the address that was asked for in the first place, on this host whatever its
// path looks like.
func back(r *http.Request) string { return link(r, "") }

// link is the address that the visitor sees, before any rewrite, with a value of the
// parameter, or without it.
func link(r *http.Request, ask string) string {
	seen := r.URL
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		seen = original.URL
	}
	q := seen.Query()
	q.Del(param)
	if ask != "" {
		q.Set(param, ask)
	}
	// Two slashes in front would name another host.
	u := url.URL{Path: "/" + strings.TrimLeft(seen.Path, `/\`), RawPath: "/" + strings.TrimLeft(seen.EscapedPath(), `/\`), RawQuery: q.Encode()}
	return u.String()
}

// wantsPage reports whether a person's browser asks, who can be shown a page.
func wantsPage(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "text/html") && !strings.HasPrefix(accept, "application/json")
}

// ask refuses a request and says where a challenge is: a person gets a page, a program a
// problem document with addresses.
func (h *Handler) ask(w http.ResponseWriter, r *http.Request, err error, wrong string) error {
	app.CountDecision(op, string(flashgate.ErrorCode(err)))
	header := w.Header()
	header.Set("Vary", "Accept")
	for _, l := range h.links(r) {
		header.Add("Link", "<"+l.at+`>; rel="captcha"; title="`+l.name+`"`)
	}
	switch {
	case h.Errors.Caddy():
		return h.app.Fail(w, r, op, err, true)
	case wantsPage(r):
		return h.page(w, r, err, wrong)
	default:
		return h.problem(w, r, err)
	}
}

type named struct{ name, at string }

// links are where challenges are fetched, and where an answer is sent.
func (h *Handler) links(r *http.Request) (links []named) {
	if h.pool != nil {
		links = append(links, named{askImage, link(r, askImage)}, named{askAudio, link(r, askAudio)})
	}
	if h.pow != nil {
		links = append(links, named{askProof, link(r, askProof)})
	}
	return append(links, named{askAnswer, link(r, askAnswer)})
}

// problem is the problem document of err with one more member, captcha: the addresses.
func (h *Handler) problem(w http.ResponseWriter, r *http.Request, err error) error {
	doc := struct {
		problem.Document
		Captcha map[string]string `json:"captcha"`
	}{problem.New(err), map[string]string{}}
	for _, l := range h.links(r) {
		doc.Captcha[l.name] = l.at
	}
	text, jsonErr := json.Marshal(doc)
	if jsonErr != nil {
		return jsonErr
	}
	problem.SetHeader(w.Header(), err)
	w.Header().Set("Content-Type", problem.ContentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(doc.Status)
	_, _ = w.Write(append(text, '\n')) // a client that went away is its own business
	return nil
}

// page shows the challenge to a person.
func (h *Handler) page(w http.ResponseWriter, r *http.Request, err error, wrong string) error {
	h.visitor(w, r) // has a cookie before picture and sound are fetched
	alt, label := "Six digits, distorted", "Which digits do you see?"
	if h.kindName == "math" {
		alt, label = "A formula to work out, distorted", "What is the result of the formula?"
	}
	var body bytes.Buffer
	problemErr := page.Execute(&body, struct {
		Style                                              template.CSS
		Wrong, Alt, Label                                  string
		Visual                                             bool
		Image, Audio, Proof, Worker, Script, Answer, Again string
	}{
		Style: template.CSS(styleText), Wrong: wrong, Alt: alt, Label: label, Visual: h.pool != nil,
		Image: link(r, askImage), Audio: link(r, askAudio), Proof: h.proofLink(r), Worker: link(r, askWorker),
		Script: link(r, askScript), Answer: link(r, askAnswer), Again: back(r),
	})
	if problemErr != nil {
		return h.refuse(w, r, &flashgate.Error{Code: flashgate.CodeInternal, Op: op, Err: problemErr})
	}
	header := w.Header()
	problem.SetHeader(header, err)
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(flashgate.Info(flashgate.ErrorCode(err)).Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body.Bytes())
	}
	return nil
}

// proofLink is empty where no proof of work is offered.
func (h *Handler) proofLink(r *http.Request) string {
	if h.pow == nil {
		return ""
	}
	return link(r, askProof)
}

// sendScript sends a script of the page. It is the same for everybody.
func sendScript(w http.ResponseWriter, name string) error {
	text, ok := scripts[name]
	if !ok {
		return errors.New("no such script: " + name)
	}
	header := w.Header()
	header.Set("Content-Type", "text/javascript; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(text)))
	header.Set("Cache-Control", "public, max-age=3600")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'") // of the worker
	_, _ = w.Write(text)
	return nil
}
