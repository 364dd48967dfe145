package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"

	"github.com/caddyserver/caddy/v2"
)

// limitTarget names a client of a limit, and what to do with it.
type limitTarget struct {
	Limit  string `json:"limit"`
	Client string `json:"client"` // "address 192.0.2.1", "key u1", "all"; parts as "6:key u17:key abc"
	For    string `json:"for,omitempty"`
	Reason string `json:"reason,omitempty"`
}

func (t limitTarget) key() string { return app.LimitKey(t.Limit, t.Client) }

// readLimit reads a target whose limit the configuration has.
func readLimit(a *app.App, r *http.Request) (limitTarget, flashgate.Rate, error) {
	t, err := readBody[limitTarget](r)
	if err != nil {
		return t, flashgate.Rate{}, err
	}
	limits := a.Limits()
	i := slices.IndexFunc(limits, func(l app.NamedLimit) bool { return l.Name == t.Limit })
	if i < 0 {
		return t, flashgate.Rate{}, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("there is no limit %q; GET /flashgate/limits lists them", t.Limit)}
	}
	if t.Client, err = clientOf(limits[i], t.Client); err != nil {
		return t, flashgate.Rate{}, badRequest(err)
	}
	return t, limits[i].Rate, nil
}

// Limits is what GET /flashgate/limits answers.
type Limits struct {
	Limits []LimitStatus    `json:"limits"`
	Marks  []flashgate.Mark `json:"marks"`
}

// LimitStatus is one limit.
type LimitStatus struct {
	Name      string              `json:"name"`
	Limit     int                 `json:"limit"`
	Window    string              `json:"window"`
	Algorithm flashgate.Algorithm `json:"algorithm"`
	Burst     int                 `json:"burst,omitempty"`
}

func listLimits(a *app.App, w http.ResponseWriter, r *http.Request) error {
	out := Limits{Limits: []LimitStatus{}, Marks: []flashgate.Mark{}}
	for _, l := range a.Limits() {
		s := LimitStatus{Name: l.Name, Limit: l.Rate.Limit, Window: l.Rate.Window.String(), Algorithm: l.Rate.Algorithm, Burst: l.Rate.Burst}
		if s.Algorithm == "" {
			s.Algorithm = flashgate.SlidingWindow
		}
		out.Limits = append(out.Limits, s)
	}
	marks, err := a.Marks(r.Context())
	if err != nil {
		return done(w, err)
	}
	out.Marks = append(out.Marks, marks...)
	slices.SortFunc(out.Marks, func(x, y flashgate.Mark) int { return strings.Compare(x.Key, y.Key) })
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(out)
}

// LimitVerdict is what POST /flashgate/limits/inspect answers.
type LimitVerdict struct {
	Allowed    bool            `json:"allowed"`
	Remaining  int             `json:"remaining"` // after the request that would pass now
	RetryAfter float64         `json:"retry_after"`
	Reset      float64         `json:"reset"` // seconds until all of the limit is there again
	Mark       *flashgate.Mark `json:"mark,omitempty"`
}

func inspectLimit(a *app.App, w http.ResponseWriter, r *http.Request) error {
	t, rate, err := readLimit(a, r)
	if err != nil {
		return err
	}
	v, err := a.Limiter().Inspect(r.Context(), t.key(), rate)
	if err != nil {
		return done(w, err)
	}
	out := LimitVerdict{Allowed: v.Allowed, Remaining: v.Remaining, RetryAfter: v.RetryAfter.Seconds(), Reset: v.Reset.Seconds()}
	if m, ok := a.Mark(t.key()); ok {
		out.Mark, out.Allowed = &m, !m.Ban
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(out)
}

func resetLimit(a *app.App, w http.ResponseWriter, r *http.Request) error {
	t, _, err := readLimit(a, r)
	if err != nil {
		return err
	}
	return done(w, a.Limiter().Reset(r.Context(), t.key()))
}

func markLimit(ban bool) func(*app.App, http.ResponseWriter, *http.Request) error {
	return func(a *app.App, w http.ResponseWriter, r *http.Request) error {
		t, _, err := readLimit(a, r)
		if err != nil {
			return err
		}
		hold, err := caddy.ParseDuration(t.For)
		if err != nil {
			return badRequest(errors.New(`"for" must say how long, such as "10m" or "30d"`))
		}
		err = a.SetMark(r.Context(), flashgate.Mark{Key: t.key(), Ban: ban, Until: time.Now().Add(hold), Reason: t.Reason})
		if flashgate.ErrorCode(err) == flashgate.CodeInvalid || flashgate.ErrorCode(err) == flashgate.CodeTooLarge {
			return badRequest(err)
		}
		return done(w, err)
	}
}

func pardonLimit(a *app.App, w http.ResponseWriter, r *http.Request) error {
	t, _, err := readLimit(a, r)
	if err != nil {
		return err
	}
	return done(w, a.DeleteMark(r.Context(), t.key()))
}
