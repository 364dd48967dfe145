package main

import (
	"encoding/json"
	"math"
	"os"
	"time"
)

// report is what --json writes.
type report struct {
	Plan     string                 `json:"plan,omitempty"`
	Sale     string                 `json:"sale,omitempty"`
	Green    bool                   `json:"green"`
	Checks   []reportCheck          `json:"checks"`
	Labels   map[string]reportLabel `json:"labels"`
	Refusals map[string]int         `json:"refusals,omitempty"`
	Honest   crowd                  `json:"honest"`
	Bots     crowd                  `json:"bots"`
}

type reportCheck struct {
	Name   string   `json:"name"`
	Green  bool     `json:"green"`
	Text   string   `json:"text"`
	Faults []string `json:"faults,omitempty"`
}

type reportLabel struct {
	Count     int            `json:"count"`
	Codes     map[string]int `json:"codes"`
	P50       int64          `json:"p50_ms"`
	P95       int64          `json:"p95_ms"`
	P99       int64          `json:"p99_ms"`
	PerSecond float64        `json:"per_second"` // from the first request to the last answer
}

func writeJSON(o options, res *results, checks []check) error {
	if o.json == "" {
		return nil
	}
	r := report{Sale: o.sale, Green: green(checks), Labels: map[string]reportLabel{}, Refusals: res.refusals,
		Honest: *res.crowd[honest], Bots: *res.crowd[bot]}
	if o.plan != nil {
		r.Plan = o.plan.name
	}
	for _, c := range checks {
		r.Checks = append(r.Checks, reportCheck{Name: c.name, Green: len(c.faults) == 0, Text: c.text, Faults: c.faults})
	}
	for label, l := range res.labels {
		r.Labels[label] = reportLabel{
			Count: len(l.took), Codes: l.codes, P50: l.percentile(50).Milliseconds(), P95: l.percentile(95).Milliseconds(), P99: l.percentile(99).Milliseconds(),
			// A millisecond is the clock's step.
			PerSecond: math.Round(1000*float64(len(l.took))/max(l.last.Sub(l.first), time.Millisecond).Seconds()) / 1000,
		}
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.json, append(text, '\n'), 0o644)
}
