package main

// goal is one promise: about speed, checked by the median of the rounds' ratios, about a
// latency, or about memory.
type goal struct {
	Group   string  `json:"group"`
	Row     string  `json:"row"`
	Against string  `json:"against,omitempty"` // another row of the group
	Figure  string  `json:"figure,omitempty"`  // p50 or p99 in ms instead of requests per second
	Want    float64 `json:"want"`              // at least this ratio, or
	AtMost  bool    `json:"at_most,omitempty"` // not more than this
	// Floor is where the run fails, where Want was never reached: what was, less the noise.
	// docs/performance.md says why. Default: Want.
	Floor float64 `json:"floor,omitempty"`
	Got   *spread `json:"got,omitempty"`
	// met; missed; "missed within the noise" of the run: some round met it, so the run cannot
	// tell; "missed, as known", above the floor; or not measured.
	Verdict string `json:"verdict"`
}

func allGoals() []goal {
	return []goal{
		{Group: "denied", Row: limit, Against: bare, Want: 0.9},
		{Group: "denied", Row: limit, Against: other, Want: 1.4},
		{Group: "keys", Row: limit, Against: bare, Want: 0.9},
		{Group: "keys", Row: limit, Against: other, Want: 1},
		{Group: "redis", Row: withLease, Against: inMemory, Want: 0.8, Floor: 0.65},
		{Group: "page", Row: cache, Against: bare, Want: 1},
		{Group: "page", Row: cache, Against: nginxCache, Want: 0.6, Floor: 0.3},
		{Group: "page", Row: cache, Against: otherCache, Want: 20},
		{Group: "304", Row: cache, Against: bare, Want: 0.95, Floor: 0.75},
		{Group: "refused", Row: soldOutRow, Against: bare, Want: 0.95, Floor: 0.85},
		{Group: "refused", Row: endedRow, Against: bare, Want: 0.95, Floor: 0.85},
		{Group: "reserve", Row: gateRow, Against: bare, Want: 0.85, Floor: 0.42},
		{Group: "reserve", Row: gateRow, Against: nginxLua, Want: 1.15, Floor: 0.55},
		{Group: "reserve64", Row: gateRow, Against: bare, Want: 0.75, Floor: 0.35},
		{Group: "reserve64", Row: gateRow, Against: nginxLua, Want: 0.93, Floor: 0.45},
		{Group: "lone", Row: gateRow, Against: naiveRow, Figure: "p50", Want: 1.15, AtMost: true, Floor: 2},
		{Group: "accept", Row: wholeRow, Against: bare, Want: 0.5, Floor: 0.17},
		{Group: "accept", Row: wholeRow, Against: naiveRow, Want: 2.3, Floor: 1},
		{Group: "accept", Row: embeddedRow, Against: bare, Want: 0.4, Floor: 0.18},
		{Group: "accept", Row: halfRow, Figure: "p99", Want: 25, AtMost: true},
		{Group: "orders", Row: wholeRow, Against: naiveRow, Want: 3},
		{Group: "orders", Row: wholeRow, Against: bare, Want: 0.4, Floor: 0.1},
		{Group: memoryGroup, Row: "bytes a key", Want: 200, AtMost: true},
	}
}

// memoryGroup is the group of goals that no row stands for.
const memoryGroup = "memory"

// judge compares the rows that the goals speak of.
func judge(groups []groupResult, memory keyMemory) []goal {
	goals := allGoals()
	for i := range goals {
		g := &goals[i]
		g.Verdict = "not measured"
		if g.Group == memoryGroup && memory.PerKey > 0 {
			worst := max(memory.PerKey, memory.AtWorst)
			g.Got = &spread{Median: memory.PerKey, Min: min(memory.PerKey, memory.AtWorst), Max: worst}
			g.Verdict = verdict(worst <= g.Want, false)
		}
		for k := range groups {
			if groups[k].Name != g.Group {
				continue
			}
			got, ok := g.measure(&groups[k])
			if !ok {
				continue
			}
			g.Got, g.Verdict = &got, verdict(g.reached(got.Median), g.reached(got.Min) || g.reached(got.Max))
			if g.Verdict == missed && g.Floor != 0 && (g.above(got.Median, g.Floor) || g.above(got.Min, g.Floor) || g.above(got.Max, g.Floor)) {
				g.Verdict = "missed, as known"
			}
		}
	}
	return goals
}

// measure compares the goal's row with the one that it is held against, or takes its figure.
func (g *goal) measure(in *groupResult) (spread, bool) {
	figure := perSecond
	switch g.Figure {
	case "p50":
		figure = func(s sample) float64 { return float64(s.P50) / 1000 }
	case "p99":
		figure = func(s sample) float64 { return float64(s.P99) / 1000 }
	}
	row, base := in.row(g.Row), in.row(g.Against)
	switch {
	case row == nil, g.Against != "" && base == nil:
		return spread{}, false
	case g.Against == "":
		return spreadOf(row.of(figure)), true
	default:
		return row.against(base, figure), true
	}
}

func (g *goal) reached(v float64) bool { return g.above(v, g.Want) }

// above reports whether a figure is on the good side of a bound.
func (g *goal) above(v, bound float64) bool {
	if g.AtMost {
		return v <= bound
	}
	return v >= bound
}

// missed is the verdict that fails a run.
const missed = "missed"

// failed are the goals that were missed, by more than the noise and below what is known.
func failed(goals []goal) (out []goal) {
	for _, g := range goals {
		if g.Verdict == missed {
			out = append(out, g)
		}
	}
	return out
}

func verdict(met, perhaps bool) string {
	switch {
	case met:
		return "met"
	case perhaps:
		return "missed within the noise"
	default:
		return missed
	}
}
