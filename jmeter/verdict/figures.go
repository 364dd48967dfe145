package main

import (
	"encoding/json"
	"os"
)

// figures are what --json writes, for the history and for comparisons.
type figures struct {
	Plan     string                  `json:"plan,omitempty"` // what the plan is about
	Sale     string                  `json:"sale,omitempty"`
	Green    bool                    `json:"green"`
	Labels   map[string]labelFigures `json:"labels"`
	Refusals map[string]int          `json:"refusals"` // of buy, by the site's code
	Honest   sideFigures             `json:"honest"`
	Bots     sideFigures             `json:"bots"`
	Checks   []checkFigures          `json:"checks"`
}

type labelFigures struct {
	Count     int            `json:"count"`
	Codes     map[string]int `json:"codes"`
	P50       float64        `json:"p50_ms"`
	P95       float64        `json:"p95_ms"`
	P99       float64        `json:"p99_ms"`
	PerSecond float64        `json:"per_second"`
}

type sideFigures struct {
	Requests int     `json:"requests"`
	Success  float64 `json:"success"` // part of them, 0 to 1
}

type checkFigures struct {
	Name   string   `json:"name"`
	Green  bool     `json:"green"`
	Text   string   `json:"text"`
	Faults []string `json:"faults,omitempty"`
}

func newFigures(o options, res *results, checks []check) figures {
	f := figures{
		Sale: o.sale, Green: green(checks), Labels: map[string]labelFigures{}, Refusals: res.refusals,
		Honest: sideFigures{res.honest.count, res.honest.part()}, Bots: sideFigures{res.bots.count, res.bots.part()},
	}
	if o.plan != nil {
		f.Plan = o.plan.About
	}
	for name, l := range res.labels {
		f.Labels[name] = labelFigures{Count: l.count, Codes: l.codes, PerSecond: l.perSecond(),
			P50: milliseconds(l.percentile(50)), P95: milliseconds(l.percentile(95)), P99: milliseconds(l.percentile(99))}
	}
	for _, c := range checks {
		f.Checks = append(f.Checks, checkFigures{Name: c.name, Green: len(c.faults) == 0, Text: c.text, Faults: c.faults})
	}
	return f
}

func (f figures) write(file string) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
