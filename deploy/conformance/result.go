package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// result is what became of one test of the suite.
type result struct {
	ID     string `json:"id"`
	Kind   string `json:"kind"` // "required", "optimal" or "check"
	Passed bool   `json:"passed"`
	Why    string `json:"why"` // why not
}

// kinds are those of the suite, in the order of the report, and what it calls them.
var kinds = []struct{ kind, title string }{{"required", "required"}, {"optimal", "optional"}, {"check", "check"}}

// allowed required tests may fail: Go's client refuses an unknown Transfer-Encoding
// before the cache sees the answer, and an answer with Set-Cookie is never kept.
var allowed = []string{"headers-store-Set-Cookie", "headers-store-Transfer-Encoding"}

func parseResults(b []byte) ([]result, error) {
	var all []result
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("the suite's client: %w", err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the suite's client has run no test")
	}
	for _, r := range all {
		if !slices.ContainsFunc(kinds, func(k struct{ kind, title string }) bool { return k.kind == r.Kind }) {
			return nil, fmt.Errorf("the suite has a test of an unknown kind %q: %s", r.Kind, r.ID)
		}
	}
	return all, nil
}

// report prints how many tests of each kind passed of how many, and those that did
// not, with the reason if verbose. It returns how many required ones failed that are
// not allowed to.
func report(w io.Writer, all []result, verbose bool) (failed int) {
	for _, k := range kinds {
		total, passed := 0, 0
		for _, r := range all {
			if r.Kind == k.kind {
				total++
				if r.Passed {
					passed++
				}
			}
		}
		fmt.Fprintf(w, "%s %d/%d\n", k.title, passed, total)
		for _, r := range all {
			if r.Kind != k.kind || r.Passed {
				continue
			}
			if k.kind == "required" && !slices.Contains(allowed, r.ID) {
				failed++
			}
			if verbose {
				fmt.Fprintf(w, "  %s: %s\n", r.ID, r.Why)
			} else {
				fmt.Fprintf(w, "  %s\n", r.ID)
			}
		}
	}
	return failed
}
