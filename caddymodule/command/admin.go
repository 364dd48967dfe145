package command

import (
	"encoding/json"
	"errors"
	"net/http"
	"runtime/debug"

	"flashgate/caddymodule/app"

	"github.com/caddyserver/caddy/v2"
)

func init() {
	caddy.RegisterModule(&Admin{})
}

// Admin adds routes to Caddy's admin API. They work on the app that serves requests
// now, whichever configuration they came with, and answer 503 when there is none.
//
//	GET  /flashgate/status         version, data folder, backends, decisions
//	POST /flashgate/cache/purge    {"kind": "url", "value": "…", "soft": true}, or prefix, tag, all
//	GET  /flashgate/cache/inspect  ?url=https://…: what is stored under an address
//	GET  /flashgate/cache/stats    what the page cache holds and has done
//	GET  /flashgate/limits         the limits of the configuration, bans and exemptions
//	POST /flashgate/limits/inspect {"limit": "…", "client": "…"}: what a request would be told
//	POST /flashgate/limits/reset   the same: forgets what was counted
//	POST /flashgate/limits/ban     {"limit", "client", "for": "10m", "reason": "…"}
//	POST /flashgate/limits/allow   the same: lets pass, uncounted
//	POST /flashgate/limits/pardon  {"limit", "client"}: takes ban or exemption back
type Admin struct{}

// CaddyModule returns the Caddy module information.
func (*Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.flashgate", New: func() caddy.Module { return new(Admin) }}
}

// Routes returns the routes.
func (*Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/flashgate/status", Handler: on(http.MethodGet, status)},
		{Pattern: "/flashgate/cache/purge", Handler: on(http.MethodPost, purgePages)},
		{Pattern: "/flashgate/cache/inspect", Handler: on(http.MethodGet, inspectPages)},
		{Pattern: "/flashgate/cache/stats", Handler: on(http.MethodGet, cacheStatus)},
		{Pattern: "/flashgate/limits", Handler: on(http.MethodGet, listLimits)},
		{Pattern: "/flashgate/limits/inspect", Handler: on(http.MethodPost, inspectLimit)},
		{Pattern: "/flashgate/limits/reset", Handler: on(http.MethodPost, resetLimit)},
		{Pattern: "/flashgate/limits/ban", Handler: on(http.MethodPost, markLimit(true))},
		{Pattern: "/flashgate/limits/allow", Handler: on(http.MethodPost, markLimit(false))},
		{Pattern: "/flashgate/limits/pardon", Handler: on(http.MethodPost, pardonLimit)},
	}
}

// on wraps a route: its method, and the live app.
func on(method string, serve func(*app.App, http.ResponseWriter, *http.Request) error) caddy.AdminHandler {
	return caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if r.Method != method {
			w.Header().Set("Allow", method)
			return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("use " + method)}
		}
		live := app.Live()
		if live == nil {
			return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable,
				Err: errors.New("flashgate is not running: the configuration has none of its directives")}
		}
		return serve(live, w, r)
	})
}

// Status is what GET /flashgate/status answers.
type Status struct {
	Version   string                       `json:"version"`
	DataDir   string                       `json:"data_dir"`
	Backends  []BackendStatus              `json:"backends"`
	Decisions map[string]map[string]uint64 `json:"decisions"` // by directive and result, since the start
}

// BackendStatus is one backend in Status.
type BackendStatus struct {
	Name   string `json:"name"` // stock, queue or state
	Module string `json:"module"`
	Status string `json:"status"` // ok or away
	Error  string `json:"error,omitempty"`
}

func status(a *app.App, w http.ResponseWriter, r *http.Request) error {
	s := Status{Version: Version(), DataDir: a.Folder(), Decisions: app.Decisions()}
	for _, b := range a.Check(r.Context()) {
		one := BackendStatus{Name: b.Name, Module: b.Module, Status: "ok"}
		if b.Err != nil {
			one.Status, one.Error = "away", b.Err.Error()
		}
		s.Backends = append(s.Backends, one)
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(s)
}

// readBody reads the JSON body of a POST route.
func readBody[T any](r *http.Request) (body T, err error) {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 64<<10))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		return body, badRequest(err)
	}
	return body, nil
}

func badRequest(err error) error {
	return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: err}
}

func done(w http.ResponseWriter, err error) error {
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Version is the version of the module flashgate in this build.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	found := info.Main
	for _, dep := range info.Deps {
		if dep.Path == "flashgate" {
			found = *dep
		}
	}
	if found.Path != "flashgate" || found.Version == "" {
		return "(devel)"
	}
	return found.Version
}

// Interface guards.
var _ caddy.AdminRouter = (*Admin)(nil)
