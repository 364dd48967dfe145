package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// label is what the samples of one label were answered.
type label struct {
	count       int
	codes       map[string]int
	took        []time.Duration // sorted when the file has been read
	first, last time.Time       // when the first began, and the last answer had come
}

func (l *label) add(code string, at time.Time, took time.Duration) {
	l.count++
	l.codes[code]++
	l.took = append(l.took, took)
	if l.first.IsZero() || at.Before(l.first) {
		l.first = at
	}
	if end := at.Add(took); end.After(l.last) {
		l.last = end
	}
}

// percentile by the nearest rank.
func (l *label) percentile(p int) time.Duration {
	if len(l.took) == 0 {
		return 0
	}
	return l.took[(len(l.took)*p+99)/100-1]
}

// perSecond is the rate of the answers; zero where all fall into one moment.
func (l *label) perSecond() float64 {
	if d := l.last.Sub(l.first); d > 0 {
		return float64(l.count) / d.Seconds()
	}
	return 0
}

// counted is "12 × 200, 3 × 409".
func counted(codes map[string]int) string {
	var parts []string
	for _, code := range sorted(codes) {
		parts = append(parts, fmt.Sprintf("%d × %s", codes[code], code))
	}
	return strings.Join(parts, ", ")
}

// judgeLabels holds each label to the plan's objectives. A label that the plan's file does
// not name is red: nobody would have looked at it.
func judgeLabels(p *plan, res *results) []check {
	var checks []check
	names := sorted(p.Labels)
	for _, name := range sorted(res.labels) {
		if _, ok := p.Labels[name]; !ok {
			names = append(names, name)
		}
	}
	for _, name := range names {
		want, named := p.Labels[name]
		got := res.labels[name]
		if got == nil {
			got = &label{}
		}
		c := check{name: "label", text: fmt.Sprintf("%s: %d samples, p50 %s, p95 %s, p99 %s",
			name, got.count, got.percentile(50), got.percentile(95), got.percentile(99))}
		if !named {
			c.fault("the plan's file does not name this label")
		} else {
			want.judge(&c, got)
		}
		checks = append(checks, c)
	}
	return checks
}

func (o objective) judge(c *check, got *label) {
	if len(o.Codes) > 0 {
		for _, code := range sorted(got.codes) {
			if !slices.Contains(o.Codes, code) {
				c.fault("%d × %s, allowed are %s", got.codes[code], code, strings.Join(o.Codes, ", "))
			}
		}
	}
	if got.count < o.AtLeast {
		c.fault("%d samples, at least %d must be there", got.count, o.AtLeast)
	}
	for _, p := range []struct {
		rank int
		most float64
	}{{50, o.P50}, {95, o.P95}, {99, o.P99}} {
		if d := got.percentile(p.rank); p.most > 0 && milliseconds(d) > p.most {
			c.fault("p%d is %s, at most %v ms are allowed", p.rank, d, p.most)
		}
	}
	for _, code := range sorted(o.Share) {
		if got.count == 0 {
			break // at_least says whether that is wrong
		}
		least, most := o.Share[code][0], o.Share[code][1]
		if part := float64(got.codes[code]) / float64(got.count); part < least || part > most {
			c.fault("%.1f %% are %s, it must be %v to %v %%", 100*part, code, 100*least, 100*most)
		}
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// side is how one kind of visitor fared.
type side struct {
	count   int
	success int // honest: as JMeter and the plan's assertions say; bots: answered 2xx
}

func (s side) part() float64 {
	if s.count == 0 {
		return 0
	}
	return float64(s.success) / float64(s.count)
}

// judgeHonest compares how honest users fared with what the plan wants. Bots have no
// objective: how many of their requests were answered 2xx is shown beside it.
func judgeHonest(p *plan, res *results) check {
	c := check{name: "users", text: fmt.Sprintf("honest users were answered as wanted: %.2f %% of %d requests", 100*res.honest.part(), res.honest.count)}
	if res.bots.count > 0 {
		c.text += fmt.Sprintf("; bots got through: %.2f %% of %d", 100*res.bots.part(), res.bots.count)
	}
	switch {
	case p.HonestSuccess > 0 && res.honest.count == 0:
		c.fault("no request was an honest user's")
	case res.honest.part() < p.HonestSuccess:
		c.fault("it must be %v %% at least", 100*p.HonestSuccess)
	}
	for _, who := range sorted(res.strangers) {
		c.fault("%d lines are of %q; who is honest or bot", res.strangers[who], who)
	}
	return c
}
