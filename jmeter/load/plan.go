package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// plan is a JMeter plan with its short form, as jmeter/<name>.json has it. What the
// verdict judges by is only carried along.
type plan struct {
	name string
	jmx  string // path of the plan
	json string // path of the short form

	needs []string // of users, key, sale: as the variable "needs" of the plan says

	About      string                     `json:"about"`
	Properties map[string]string          `json:"properties"` // -J values of the short form
	Users      int                        `json:"users"`      // lines of the file of users; 0: none
	AllPress   bool                       `json:"all_press"`  // each user presses the button at least once
	Units      int                        `json:"units"`      // of the sale; 0: no sale
	PerUser    int                        `json:"per_user"`
	Caddyfile  string                     `json:"caddyfile"` // beside the plan; empty: the project's
	Labels     map[string]json.RawMessage `json:"labels"`
	Honest     float64                    `json:"honest_success"`
}

// planNames are those that exist.
func planNames(root string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(root, "jmeter", "*.jmx"))
	if err != nil {
		return nil, err
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".jmx")
	}
	return files, nil
}

var needsArgument = regexp.MustCompile(`<stringProp name="Argument.name">needs</stringProp>\s*<stringProp name="Argument.value">([^<]*)<`)

func readPlan(root, name string) (p plan, err error) {
	names, err := planNames(root)
	if err != nil {
		return p, err
	}
	if !slices.Contains(names, name) {
		return p, fmt.Errorf("there is no plan %q; there are %s", name, strings.Join(names, ", "))
	}
	p = plan{name: name, PerUser: 1}
	p.jmx, p.json = filepath.Join(root, "jmeter", name+".jmx"), filepath.Join(root, "jmeter", name+".json")
	text, err := os.ReadFile(p.jmx)
	if err != nil {
		return p, err
	}
	if m := needsArgument.FindSubmatch(text); m != nil {
		p.needs = strings.Fields(string(m[1]))
	}
	form, err := os.ReadFile(p.json)
	if errors.Is(err, fs.ErrNotExist) {
		return p, fmt.Errorf("the plan %s has no short form: %s is missing", name, p.json)
	}
	if err != nil {
		return p, err
	}
	d := json.NewDecoder(bytes.NewReader(form))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, fmt.Errorf("%s: %w", p.json, err)
	}
	if p.Users < 0 || p.Units < 0 || p.PerUser < 1 {
		return p, fmt.Errorf("%s: users and units must be at least 0, per_user at least 1", p.json)
	}
	return p, nil
}

// readPlans reads the plans named, or all.
func readPlans(root string, names []string) ([]plan, error) {
	if len(names) == 0 {
		var err error
		if names, err = planNames(root); err != nil {
			return nil, err
		}
	}
	var plans []plan
	for _, name := range names {
		p, err := readPlan(root, name)
		if err != nil {
			return nil, err
		}
		plans = append(plans, p)
	}
	return plans, nil
}

// wants reports whether the plan cannot do without users, a key or a sale. The key is for
// captchas, which a plan may be told to leave out.
func (p plan) wants(what string) bool {
	if what == "key" && p.Properties["captcha"] == "false" {
		return false
	}
	return slices.Contains(p.needs, what)
}

var property = regexp.MustCompile(`\$\{__P\((\w+),`)

// reads are the names of the properties that are the plan's, and not JMeter's own.
func (p plan) reads() (map[string]bool, error) {
	text, err := os.ReadFile(p.jmx)
	if err != nil {
		return nil, err
	}
	read := map[string]bool{}
	for _, m := range property.FindAllSubmatch(text, -1) {
		read[string(m[1])] = true
	}
	return read, nil
}

// apply makes the settings that are given the plan's. -Jplan.name=value is for one plan
// of several.
func (p *plan) apply(s settings) {
	values := maps.Clone(p.Properties)
	if values == nil {
		values = map[string]string{}
	}
	if s.users > 0 {
		values["users"] = strconv.Itoa(s.users)
	}
	for name, v := range map[string]string{"ramp_up": s.rampUp, "duration": s.duration, "think_time": s.think} {
		if v != "" {
			values[name] = v
		}
	}
	maps.Copy(values, p.given(s))
	// As many more lines of the file as there are more users: some plans need several each.
	before, _ := strconv.Atoi(p.Properties["users"])
	if n, err := strconv.Atoi(values["users"]); err == nil && n > 0 && p.Users > 0 {
		if before > 0 {
			p.Users = (p.Users*n + before - 1) / before
		} else {
			p.Users = n
		}
	}
	if s.units > 0 && p.Units > 0 {
		p.Units = s.units
	}
	p.Properties = values
}

// given are the properties of the command line that are for this plan.
func (p *plan) given(s settings) map[string]string {
	values := map[string]string{}
	for _, text := range s.properties {
		name, v, _ := strings.Cut(text, "=")
		if own, ok := strings.CutPrefix(name, p.name+"."); ok {
			name = own
		}
		values[name] = v
	}
	return values
}
