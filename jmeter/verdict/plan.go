package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// plan is what the verdict needs of a plan's short form. The rest is the runner's.
type plan struct {
	name string

	About      string               `json:"about"`
	Properties map[string]string    `json:"properties"`
	Users      int                  `json:"users"`
	AllPress   bool                 `json:"all_press"`
	Units      int                  `json:"units"` // of the sale that is made for a run; 0: no sale
	PerUser    int                  `json:"per_user"`
	Caddyfile  string               `json:"caddyfile"`
	Labels     map[string]objective `json:"labels"`
	Honest     float64              `json:"honest_success"` // least part of honest users' requests that are answered as wanted
}

// objective is what is expected of the samples of a label. Zero or nothing is not judged.
type objective struct {
	Codes   []string              `json:"codes"`    // no others; "no answer" is one
	AtLeast int                   `json:"at_least"` // samples
	P50     int                   `json:"p50_ms"`   // at most
	P95     int                   `json:"p95_ms"`
	P99     int                   `json:"p99_ms"`
	Share   map[string][2]float64 `json:"share"` // least and most part of the samples with a code
}

func readPlan(file string) (*plan, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--plan: %w", err)
	}
	p := &plan{name: strings.TrimSuffix(filepath.Base(file), ".json")}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(p); err != nil {
		return nil, fmt.Errorf("--plan: %s: %w", file, err)
	}
	if len(p.Labels) == 0 {
		return nil, fmt.Errorf("--plan: %s has no labels: a plan without objectives is green whatever happens", file)
	}
	return p, nil
}

// goals judges each label by its objectives. One that the plan does not name is a fault:
// nobody has said what is expected of it.
func (p *plan) goals(res *results) check {
	c := check{name: "goals", text: fmt.Sprintf("%d labels are as the plan wants them", len(p.Labels))}
	for _, label := range sorted(res.labels) {
		if _, ok := p.Labels[label]; !ok {
			c.fault("%s: the plan does not say what is expected of this label", label)
		}
	}
	for _, label := range sorted(p.Labels) {
		p.Labels[label].judge(&c, label, res.labels[label])
	}
	return c
}

func (o objective) judge(c *check, label string, l *series) {
	n := 0
	if l != nil {
		n = len(l.took)
	}
	if n < o.AtLeast {
		c.fault("%s: %d samples, at least %d are wanted", label, n, o.AtLeast)
	}
	if n == 0 {
		return
	}
	wanted := map[string]bool{}
	for _, code := range o.Codes {
		wanted[code] = true
	}
	for _, code := range sorted(l.codes) {
		if len(wanted) > 0 && !wanted[code] {
			c.fault("%s: %d × %s, wanted are %s", label, l.codes[code], code, strings.Join(o.Codes, ", "))
		}
	}
	for _, code := range sorted(o.Share) {
		part, least, most := float64(l.codes[code])/float64(n), o.Share[code][0], o.Share[code][1]
		if part < least || part > most {
			c.fault("%s: %.3g of %d samples are %s, wanted are %g to %g", label, part, n, code, least, most)
		}
	}
	for _, goal := range []struct{ p, ms int }{{50, o.P50}, {95, o.P95}, {99, o.P99}} {
		if got := l.percentile(goal.p); goal.ms > 0 && got > time.Duration(goal.ms)*time.Millisecond {
			c.fault("%s: p%d is %s, at most %d ms are wanted", label, goal.p, got, goal.ms)
		}
	}
}

// honesty judges how honest users fared, and says beside it how bots did.
func (p *plan) honesty(res *results) check {
	h, b := res.crowd[honest], res.crowd[bot]
	part := 1.0
	if h.Requests > 0 {
		part = float64(h.Wanted) / float64(h.Requests)
	}
	c := check{name: "honest", text: fmt.Sprintf("%.2f %% of %d requests of honest users were answered as wanted", 100*part, h.Requests)}
	if b.Requests > 0 {
		c.text += fmt.Sprintf("; of %d requests of bots %d were answered 2xx, %d with an order", b.Requests, b.Passed, b.Orders)
	}
	if p.Honest > 0 && (part < p.Honest || h.Requests == 0) {
		c.fault("at least %g %% are wanted", 100*p.Honest)
	}
	return c
}
