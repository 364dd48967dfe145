package main

// goal is one promise: about speed, checked by the median of the rounds' ratios, or about
// memory.
type goal struct {
	Group   string  `json:"group"`
	Row     string  `json:"row"`
	Against string  `json:"against,omitempty"` // another row of the group
	Want    float64 `json:"want"`              // at least this ratio, or
	AtMost  bool    `json:"at_most,omitempty"` // not more than these bytes
	Got     *spread `json:"got,omitempty"`
	// met; missed; "missed within the noise" of the run: some round met it, so the run cannot
	// tell; or not measured.
	Verdict string `json:"verdict"`
}

func allGoals() []goal {
	return []goal{
		{Group: "denied", Row: limit, Against: bare, Want: 0.9},
		{Group: "denied", Row: limit, Against: other, Want: 1.4},
		{Group: "keys", Row: limit, Against: bare, Want: 0.9},
		{Group: "keys", Row: limit, Against: other, Want: 1},
		{Group: "redis", Row: withLease, Against: inMemory, Want: 0.8},
		{Group: "page", Row: cache, Against: bare, Want: 1},
		{Group: "page", Row: cache, Against: nginxCache, Want: 0.6},
		{Group: "page", Row: cache, Against: otherCache, Want: 10},
		{Group: "304", Row: cache, Against: bare, Want: 0.95},
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
			row, base := groups[k].row(g.Row), groups[k].row(g.Against)
			if row == nil || base == nil {
				continue
			}
			got := row.against(base, perSecond)
			g.Got, g.Verdict = &got, verdict(got.Median >= g.Want, got.Max >= g.Want)
		}
	}
	return goals
}

func verdict(met, perhaps bool) string {
	switch {
	case met:
		return "met"
	case perhaps:
		return "missed within the noise"
	default:
		return "missed"
	}
}
