package main

// goal is one promise about speed, checked by the median of the rounds' ratios.
type goal struct {
	Group   string  `json:"group"`
	Row     string  `json:"row"`
	Against string  `json:"against"` // another row of the group
	Want    float64 `json:"want"`    // at least
	Got     *spread `json:"got,omitempty"`
	Verdict string  `json:"verdict"` // met, missed or not measured
}

func allGoals() []goal {
	return []goal{
		{Group: "denied", Row: limit, Against: bare, Want: 0.9},
		{Group: "denied", Row: limit, Against: other, Want: 1.4},
		{Group: "keys", Row: limit, Against: bare, Want: 0.9},
		{Group: "keys", Row: limit, Against: other, Want: 1},
		{Group: "redis", Row: withLease, Against: inMemory, Want: 0.8},
	}
}

// judge compares the rows that the goals speak of.
func judge(groups []groupResult) []goal {
	goals := allGoals()
	for i := range goals {
		g := &goals[i]
		g.Verdict = "not measured"
		for k := range groups {
			if groups[k].Name != g.Group {
				continue
			}
			row, base := groups[k].row(g.Row), groups[k].row(g.Against)
			if row == nil || base == nil {
				continue
			}
			got := row.against(base, perSecond)
			g.Got, g.Verdict = &got, "missed"
			if got.Median >= g.Want {
				g.Verdict = "met"
			}
		}
	}
	return goals
}
