package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// print writes the tables and, last, the goals.
func (r *result) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s; every Caddy with GOGC=%s\n", sharedCores(), gogc)
	fmt.Fprintf(w, "wrk: %d threads, %d connections unless a title says otherwise; %d rounds of %g s a row; median (least–most)\n",
		r.Settings.Threads, r.Settings.Connections, r.Settings.Rounds, r.Settings.Seconds)
	for i := range r.Groups {
		printGroup(w, &r.Groups[i])
	}
	fmt.Fprintf(w, "\nmemory: %d keys counted in a gateway take %.0f bytes each; %.0f where the table has just grown\n",
		r.Memory.Keys, r.Memory.PerKey, r.Memory.AtWorst)
	fmt.Fprintln(w, "\nGoals; of speed, by the median of the rounds' ratios:")
	for _, g := range r.Goals {
		fmt.Fprintln(w, "  "+g.String())
	}
}

// String says what was wanted and what came of it.
func (g goal) String() string {
	sign, digits := "≥", 2
	if g.AtMost {
		sign = "≤"
	}
	if g.Group == memoryGroup {
		digits = 0
	}
	want := fmt.Sprintf("%s %.*f", sign, digits, g.Want)
	if g.Against != "" {
		want += " × " + g.Against
	}
	if g.Figure != "" {
		want = g.Figure + " " + want
		if g.Against == "" {
			want += " ms"
		}
	}
	text := fmt.Sprintf("%s: %s %s: ", g.Group, g.Row, want)
	if g.Got == nil {
		return text + g.Verdict
	}
	return text + fmt.Sprintf("%.*f (%.*f–%.*f): goal %s", digits, g.Got.Median, digits, g.Got.Min, digits, g.Got.Max, g.Verdict)
}

func printGroup(w io.Writer, g *groupResult) {
	fmt.Fprintf(w, "\n%s: %s\n", g.Name, g.Title)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join([]string{"row", "requests/s", "", "× " + g.Rows[0].Name, "", "CPU µs/request", "×", "Redis µs", "RabbitMQ µs", "MariaDB µs", "worker µs", "wrk µs", "Redis commands", "p50 ms", "p99 ms", "× baseline"}, "\t"))
	for i := range g.Rows {
		r := &g.Rows[i]
		cells := []string{
			r.Name,
			fmt.Sprintf("%.0f", r.PerSecond.Median), fmt.Sprintf("(%.0f–%.0f)", r.PerSecond.Min, r.PerSecond.Max),
			fmt.Sprintf("%.2f", r.Ratio.Median), fmt.Sprintf("(%.2f–%.2f)", r.Ratio.Min, r.Ratio.Max),
			fmt.Sprintf("%.1f", r.ServerCPU), fmt.Sprintf("%.2f", r.CPURatio.Median),
			dash(r.RedisCPU, "%.1f"), dash(r.QueueCPU, "%.1f"), dash(r.DatabaseCPU, "%.1f"), dash(r.WorkerCPU, "%.1f"), fmt.Sprintf("%.1f", r.LoadCPU), dash(r.RedisCommands, "%.3f"),
			fmt.Sprintf("%.2f", r.P50/1000), fmt.Sprintf("%.1f", r.P99/1000),
		}
		if r.BaselineRatio != nil {
			cells = append(cells, fmt.Sprintf("%.2f (%s)", r.BaselineRatio.Median, r.Baseline))
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	_ = t.Flush() // standard output
}

func dash(v float64, format string) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf(format, v)
}
