package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// runner has what the plans of one run share.
type runner struct {
	settings settings
	tmp      string // removed at the end
	programs programs
	client   client
	sites    sites
	started  time.Time
	sales    int // that were made
}

func newRunner(ctx context.Context, s settings) (r *runner, err error) {
	r = &runner{settings: s, started: time.Now()}
	if r.tmp, err = os.MkdirTemp("", "flashgate-load"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(r.tmp))
		}
	}()
	r.sites = sites{r: r, open: map[string]*demo{}}
	r.programs = programs{dir: filepath.Join(s.root, "bin", "jmeter"), root: s.root, golang: s.golang}
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return nil, err
	}
	r.client, err = findJMeter(ctx, s, r.tmp)
	return r, err
}

// close ends the demos and leaves nothing behind but the results.
func (r *runner) close() error {
	return errors.Join(r.sites.stop(), os.RemoveAll(r.tmp))
}

// newSale is an id that no other run makes.
func (r *runner) newSale() string {
	r.sales++
	return fmt.Sprintf("jmeter-%s-%d-%d", r.started.Format("0102-150405"), os.Getpid(), r.sales)
}

// outcome is one plan's run.
type outcome struct {
	plan    string
	site    string // as history names it
	exit    int
	labels  map[string]*figures
	seconds float64
	folder  string
}

func (o outcome) verdict() string {
	return [...]string{exitGreen: "green", exitRed: "red", exitUnable: "unknown"}[o.exit]
}

// run is the command: each plan after the other, on the same site where they can.
func run(ctx context.Context, s settings, names []string) (exit int, err error) {
	if len(names) > 0 {
		s.plans = names
	}
	plans, err := readPlans(s.root, s.plans)
	if err != nil {
		return exitUnable, err
	}
	if err := fitting(s, plans); err != nil {
		return exitUnable, err
	}
	target := s.target
	if target == "" {
		target = demoName
	}
	if plans, err = leaveOut(s, plans); err != nil {
		return exitUnable, err
	}
	r, err := newRunner(ctx, s)
	if err != nil {
		return exitUnable, err
	}
	defer func() {
		if e := r.close(); e != nil {
			exit, err = exitUnable, errors.Join(err, e)
		}
	}()
	var all []outcome
	for _, p := range plans {
		if len(plans) > 1 {
			fmt.Printf("== %s: %s\n", p.name, p.About)
		}
		o, err := r.play(ctx, p, target, "", filepath.Join(s.out, p.name), os.Stdout)
		if err != nil {
			fmt.Fprintf(os.Stderr, "load: %s: %v\n", p.name, err)
		}
		all = append(all, o)
		exit = max(exit, o.exit)
		if ctx.Err() != nil {
			return exitUnable, errors.New("stopped by a signal")
		}
		r.endOwn(p)
	}
	if len(plans) > 1 {
		printPlans(os.Stdout, all)
	}
	return exit, nil
}

// endOwn ends a demo that was for one plan only.
func (r *runner) endOwn(p plan) {
	if p.Caddyfile == "" {
		return
	}
	if d, ok := r.sites.open["jmeter/"+p.Caddyfile]; ok {
		delete(r.sites.open, "jmeter/"+p.Caddyfile)
		if err := d.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "load:", err)
		}
	}
}

// fitting looks at the settings that only some plans can have.
func fitting(s settings, plans []plan) error {
	switch {
	case s.usersCSV != "" && s.target == "":
		return errors.New("USERS_CSV names users of a site: say which, with TARGET")
	case (s.usersCSV != "" || s.sale != "") && len(plans) != 1:
		return errors.New("USERS_CSV and SALE are for one plan: name it with PLAN")
	case s.usersCSV != "" && s.sale == "" && plans[0].Units > 0:
		return errors.New("USERS_CSV names users that were made before: say in which sale they buy, with SALE")
	}
	return nil
}

// leaveOut drops the plans for which a running site would need another Caddyfile, unless
// they were named.
func leaveOut(s settings, plans []plan) (kept []plan, err error) {
	if s.target == "" || len(s.plans) > 0 {
		return plans, nil
	}
	for _, p := range plans {
		if p.Caddyfile == "" {
			kept = append(kept, p)
			continue
		}
		fmt.Fprintf(os.Stderr, "load: %s is left out: it is for a gateway on jmeter/%s; name it to run it all the same\n", p.name, p.Caddyfile)
	}
	return kept, nil
}
