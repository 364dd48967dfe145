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

// outdated required tests of the release on npm may fail as well: the suite has since
// come to ask for the opposite, or has mended them.
var outdated = []string{
	// An Age that cannot be read is to be ignored, of several the first one counts; the
	// release wants such answers to be stale.
	"age-parse-nonnumeric", "age-parse-negative", "age-parse-float", "age-parse-prefix-twoline",
	"age-parse-dup-0", "age-parse-dup-0-twoline", "age-parse-dup-old",
	// The release looks for the number of a request in an answer that no origin has made:
	// the 502 for the connection that it closed.
	"stale-close-must-revalidate", "stale-close-proxy-revalidate", "stale-close-no-cache", "stale-close-s-maxage=2",
	// A 304 updates Content-MD5, as all but a few fields (RFC 9111, section 3.2).
	"304-etag-update-response-Content-MD5",
	// It begins with a stored Set-Cookie.
	"304-etag-update-response-Set-Cookie",
}

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
func report(w io.Writer, all []result, mayFail []string, verbose bool) (failed int) {
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
			if k.kind == "required" && !slices.Contains(mayFail, r.ID) {
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
