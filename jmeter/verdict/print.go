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
	for _, label := range sorted(res.answers) {
		var parts []string
		for _, code := range sorted(res.answers[label]) {
			parts = append(parts, fmt.Sprintf("%d × %s", res.answers[label][code], code))
		}
		fmt.Fprintf(w, "%-8s %s\n", label, strings.Join(parts, ", "))
	}
	if n := len(res.latency); n > 0 {
		fmt.Fprintf(w, "latency  of buy: p50 %s, p95 %s, p99 %s, max %s; %d answers in %s\n",
			res.percentile(50), res.percentile(95), res.percentile(99), res.latency[n-1], n, res.last.Sub(res.first).Round(time.Millisecond))
	}
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
		fmt.Fprintf(w, "verdict: RED, sale %s: %d of %d checks failed\n", o.sale, red, len(checks))
		return
	}
	fmt.Fprintf(w, "verdict: green, sale %s\n", o.sale)
}
