package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
)

// plan is what a file beside a plan, such as flash-sale.json, says of it. The runner reads
// the same file.
type plan struct {
	About      string            `json:"about"`
	Properties map[string]string `json:"properties"` // for the runner
	Users      int               `json:"users"`      // for the runner
	Units      int64             `json:"units"`      // of the run's sale; 0: the plan has none
	PerUser    int               `json:"per_user"`   // for the runner
	Caddyfile  string            `json:"caddyfile"`  // for the runner

	// Labels are all sample labels of the plan.
	Labels map[string]objective `json:"labels"`
	// HonestSuccess is the least part of the honest users' samples that must be
	// successful, 0 to 1; 0: not judged.
	HonestSuccess float64 `json:"honest_success"`
}

// objective is what the samples of one label must keep. Zero and absent: not judged.
type objective struct {
	Codes   []string              `json:"codes"` // the only ones allowed; "no answer" for none
	AtLeast int                   `json:"at_least"`
	P50     float64               `json:"p50_ms"` // at most
	P95     float64               `json:"p95_ms"`
	P99     float64               `json:"p99_ms"`
	Share   map[string][2]float64 `json:"share"` // by code: the least and the most part of the samples
}

// readPlan reads the file; what it does not know is an error, as it would not be judged.
func readPlan(file string) (*plan, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := parsePlan(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

func parsePlan(r io.Reader) (*plan, error) {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	p := new(plan)
	if err := d.Decode(p); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the plan's object")
	}
	return p, p.validate()
}

func (p *plan) validate() error {
	switch {
	case len(p.Labels) == 0:
		return errors.New("labels is empty: nothing would be judged")
	case p.HonestSuccess < 0 || p.HonestSuccess > 1:
		return fmt.Errorf("honest_success is %v; it must be 0 to 1", p.HonestSuccess)
	case p.Units < 0:
		return fmt.Errorf("units is %d; it must not be negative", p.Units)
	}
	for _, name := range sorted(p.Labels) {
		if err := p.Labels[name].validate(); err != nil {
			return fmt.Errorf("label %q: %w", name, err)
		}
	}
	return nil
}

func (o objective) validate() error {
	for _, code := range o.Codes {
		if !isCode(code) && code != noAnswer {
			return fmt.Errorf("code %q is no HTTP status and not %q", code, noAnswer)
		}
	}
	if o.AtLeast < 0 || o.P50 < 0 || o.P95 < 0 || o.P99 < 0 {
		return errors.New("no figure may be negative")
	}
	for code, s := range o.Share {
		if !isCode(code) && code != noAnswer {
			return fmt.Errorf("share of %q: no HTTP status and not %q", code, noAnswer)
		}
		if s[0] < 0 || s[1] > 1 || s[0] > s[1] {
			return fmt.Errorf("share of %s is %v; it must be the least and the most part, 0 to 1", code, s)
		}
	}
	return nil
}

// noAnswer is the code of a sample without an HTTP status.
const noAnswer = "no answer"

func isCode(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 100 && n <= 999
}
