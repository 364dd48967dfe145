package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"time"
)

// entry is one line of the history: one run of one plan. bench/history draws them.
type entry struct {
	Time       time.Time           `json:"time"`
	Commit     string              `json:"commit"` // with a + when files were changed since
	Machine    place               `json:"machine"`
	Plan       string              `json:"plan"`
	Target     string              `json:"target"` // demo, demo:<Caddyfile> or site
	Engines    int                 `json:"engines,omitempty"`
	Users      int                 `json:"users"`
	Units      int                 `json:"units"`
	Properties map[string]string   `json:"properties"`
	Seconds    float64             `json:"seconds"`
	Labels     map[string]*figures `json:"labels"`
	Verdict    string              `json:"verdict"`
}

// remember appends a line to the history.
func (r *runner) remember(ctx context.Context, g *game, o outcome) error {
	m, err := r.place(ctx)
	if err != nil {
		return err
	}
	read, err := g.plan.reads()
	if err != nil {
		return err
	}
	properties := maps.Clone(g.plan.Properties)
	// The key is a secret of the site's, and JMeter's own may be passwords.
	maps.DeleteFunc(properties, func(name, _ string) bool { return name == "key" || !read[name] })
	line, err := json.Marshal(entry{Time: time.Now().UTC().Truncate(time.Second), Commit: commit(ctx, r.settings.root), Machine: m,
		Plan: o.plan, Target: o.site, Engines: len(r.settings.engines), Users: g.plan.Users, Units: g.plan.Units,
		Properties: properties, Seconds: o.seconds, Labels: o.labels, Verdict: o.verdict()})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(r.settings.history), 0o755); err != nil {
		return err
	}
	// In one write, so that two runs at once do not mix their lines.
	f, err := os.OpenFile(r.settings.history, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}
