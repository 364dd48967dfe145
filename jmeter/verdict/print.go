package main

import (
	"fmt"
	"io"
	"time"
)

// mostFaults is how many faults of one check are printed.
const mostFaults = 5

// printSummary prints how the site answered. It judges nothing.
func printSummary(w io.Writer, res *results) {
	for _, name := range sorted(res.labels) {
		fmt.Fprintf(w, "%-8s %s\n", name, counted(res.labels[name].codes))
	}
	if len(res.refusals) > 0 {
		fmt.Fprintf(w, "refusals of buy: %s\n", counted(res.refusals))
	}
	if l := res.labels[labelBuy]; l != nil {
		fmt.Fprintf(w, "latency  of buy: p50 %s, p95 %s, p99 %s, max %s; %d answers in %s\n",
			l.percentile(50), l.percentile(95), l.percentile(99), l.took[l.count-1], l.count, l.last.Sub(l.first).Round(time.Millisecond))
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
	what := "sale " + o.sale
	if !o.hasSale() {
		what = "no sale"
	}
	if red > 0 {
		fmt.Fprintf(w, "verdict: RED, %s: %d of %d checks failed\n", what, red, len(checks))
		return
	}
	fmt.Fprintf(w, "verdict: green, %s\n", what)
}
