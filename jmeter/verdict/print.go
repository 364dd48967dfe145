package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// mostFaults is how many faults of one check are printed.
const mostFaults = 5

// printSummary prints how the site answered. It judges nothing.
func printSummary(w io.Writer, res *results) {
	for _, label := range sorted(res.labels) {
		l := res.labels[label]
		fmt.Fprintf(w, "%-8s %s\n", label, counts(l.codes))
		fmt.Fprintf(w, "latency  of %s: p50 %s, p95 %s, p99 %s, max %s; %d answers in %s\n", label,
			l.percentile(50), l.percentile(95), l.percentile(99), l.percentile(100), len(l.took), l.last.Sub(l.first).Round(time.Millisecond))
	}
	if len(res.refusals) > 0 {
		fmt.Fprintf(w, "refused  %s\n", counts(res.refusals))
	}
}

// counts are numbers by what they count.
func counts(n map[string]int) string {
	var parts []string
	for _, what := range sorted(n) {
		parts = append(parts, fmt.Sprintf("%d × %s", n[what], what))
	}
	return strings.Join(parts, ", ")
}

// printVerdict prints a line for each check and one for all of them.
func printVerdict(w io.Writer, o options, checks []check) {
	red := 0
	for _, c := range checks {
		word := "green"
		if len(c.faults) > 0 {
			word = "RED"
			red++
		}
		fmt.Fprintf(w, "%-5s %-5s %s\n", word, c.name, c.text)
		for i, f := range c.faults {
			if i == mostFaults {
				fmt.Fprintf(w, "            and %d more\n", len(c.faults)-i)
				break
			}
			fmt.Fprintf(w, "            %s\n", f)
		}
	}
	if red > 0 {
		fmt.Fprintf(w, "verdict: RED, %s: %d of %d checks failed\n", o.subject(), red, len(checks))
		return
	}
	fmt.Fprintf(w, "verdict: green, %s\n", o.subject())
}
