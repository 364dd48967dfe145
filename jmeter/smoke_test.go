package jmeter_test

import (
	"encoding/csv"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// shortForm is the part of a plan's JSON that tests look at.
type shortForm struct {
	Labels map[string]struct {
		Codes   []string
		AtLeast int `json:"at_least"`
	}
	Honest float64 `json:"honest_success"`
}

func readForm(t *testing.T, plan string) (form shortForm) {
	t.Helper()
	if err := json.Unmarshal([]byte(read(t, plan+".json")), &form); err != nil {
		t.Fatalf("%s: %v", plan, err)
	}
	return form
}

// No plan may rot: each runs for a few seconds against one demo, and its labels, codes
// and log are as its short form has them. How fast it is, is not looked at.
func testEveryPlan(t *testing.T) {
	t.Parallel()
	var names []string
	args := []string{"run"}
	for name := range plans(t) {
		names = append(names, name)
		if name != "limits" { // which needs a user for each line of its table
			args = append(args, "-J"+name+".users=8")
		}
	}
	slices.Sort(names)
	// A visitor of browse comes back once the page is no longer fresh.
	args = append(args, "-Jbrowse.views=2", "-Jbrowse.reloaders=2", "-Jbrowse.duration=8")
	// Whoever of the few buyers gets something pays for it.
	args = append(args, "-Jflash-sale.pay=100", "-Jflash-sale.cancel=0")
	r := load(t, append(args, names...), quick, "UNITS=4", "RAMP_UP=1", "DURATION=4", "THINK_TIME=100", "REPORT=no")
	if r.exit == 2 {
		t.Fatalf("exit 2\n%s%s", r.log, r.out)
	}
	for _, name := range names {
		r.noFaults(t, name)
		form := readForm(t, name)
		rows, err := csv.NewReader(strings.NewReader(r.file(t, name+"/results.jtl"))).ReadAll()
		if err != nil || len(rows) < 2 {
			t.Fatalf("%s: %d lines, %v", name, len(rows), err)
		}
		label, code := slices.Index(rows[0], "label"), slices.Index(rows[0], "responseCode")
		seen := map[string]int{}
		for _, row := range rows[1:] {
			seen[row[label]]++
			if known, ok := form.Labels[row[label]]; !ok {
				t.Errorf("%s: a sample %q, which its short form does not know", name, row[label])
			} else if !slices.Contains(known.Codes, row[code]) {
				t.Errorf("%s: %q was answered %s, want %v", name, row[label], row[code], known.Codes)
			}
		}
		for l, want := range form.Labels {
			if want.AtLeast > 0 && seen[l] == 0 {
				t.Errorf("%s: there is no sample %q", name, l)
			}
		}
		if t.Failed() {
			t.Fatalf("%s is as above; the run said\n%s%s", name, r.says(), r.out)
		}
	}
	r.gone(t)
}
