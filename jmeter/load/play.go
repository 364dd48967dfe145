package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// play runs one plan at one site: data, checks, JMeter, verdict, and away with the data.
// An error goes with the exit status exitUnable.
func (r *runner) play(ctx context.Context, p plan, target, suffix, folder string, verdict io.Writer) (o outcome, err error) {
	o = outcome{plan: p.name, exit: exitUnable, folder: folder}
	defer func() {
		if err != nil {
			o.exit = exitUnable
		}
	}()
	p.apply(r.settings)
	t, err := r.sites.at(ctx, target, suffix, p)
	if err != nil {
		return o, err
	}
	o.site = t.name
	if err := t.fits(p, r.settings.usersCSV == ""); err != nil {
		return o, err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return o, err
	}
	mine := flock.New(folder, flock.SetFlag(os.O_RDONLY))
	switch ok, err := mine.TryLock(); {
	case err != nil:
		return o, err
	case !ok:
		return o, fmt.Errorf("%s is another run's: set OUT to another folder", folder)
	}
	defer mine.Close()
	if _, err := os.Stat(filepath.Join(folder, "results.jtl")); err == nil {
		return o, fmt.Errorf("%s has the results of another run: set OUT to another folder", folder)
	}
	g := &game{r: r, plan: p, site: t, folder: folder, samples: -1, sale: r.settings.sale, users: r.settings.usersCSV}
	if err := g.prepare(ctx); err != nil {
		return o, errors.Join(err, g.clean(ctx))
	}
	begin := time.Now()
	err = g.run(ctx)
	o.seconds = time.Since(begin).Seconds()
	if err == nil {
		o.exit, err = g.judge(ctx, verdict)
	}
	if err == nil {
		o.labels, err = readFigures(g.figures())
	}
	if e := g.clean(ctx); e != nil {
		err = errors.Join(err, e)
	}
	if err == nil && r.settings.history != "" {
		err = r.remember(ctx, g, o)
	}
	return o, err
}

// game is one plan at one site.
type game struct {
	r       *runner
	plan    plan
	site    *site
	folder  string
	sale    string
	users   string // file of users; empty: none
	samples int    // as JMeter has counted them; below 0: not known
	made    bool   // users and sale are this run's, and go with it
}

func (g *game) results() string { return filepath.Join(g.folder, "results.jtl") }
func (g *game) log() string     { return filepath.Join(g.folder, "jmeter.log") }
func (g *game) figures() string { return filepath.Join(g.folder, "verdict.json") }

// prepare checks what can be checked before anything is made, makes users and sale, and
// checks those.
func (g *game) prepare(ctx context.Context) error {
	p, ask := g.plan, newAsker(g.site)
	if err := ask.checkHost(ctx); err != nil {
		return err
	}
	if g.sale == "" && p.Units > 0 {
		g.sale = g.r.newSale()
	}
	if p.wants("key") {
		sale := g.sale
		if sale == "" {
			sale = "1"
		}
		if err := ask.checkKey(ctx, sale); err != nil {
			return err
		}
	}
	// What is there already is looked at before anything is built.
	if g.users != "" {
		if err := g.checkData(ctx, ask); err != nil {
			return err
		}
	}
	if err := g.r.programs.build(ctx, "./jmeter/users", "./jmeter/verdict"); err != nil {
		return err
	}
	if p.Users+p.Units > 0 {
		if err := g.site.checkData(); err != nil {
			return err
		}
	}
	if g.users != "" {
		return g.checkGate(ctx)
	}
	if p.Users+p.Units == 0 {
		return nil
	}
	if err := g.make(ctx); err != nil {
		return err
	}
	return g.checkData(ctx, ask)
}

// checkData checks users and sale.
func (g *game) checkData(ctx context.Context, ask *asker) error {
	p := g.plan
	if g.sale != "" && p.wants("sale") {
		if err := ask.checkSale(ctx, g.sale); err != nil {
			return err
		}
	}
	if p.wants("users") {
		// The plan's own number when none is asked for.
		wanted, _ := strconv.Atoi(p.Properties["users"])
		token, err := checkUsers(g.users, max(wanted, 1))
		if err != nil {
			return err
		}
		return ask.checkSession(ctx, g.users, token)
	}
	return nil
}

// checkGate asks the gate whether it would sell: the shop shows a sale as open whose gate
// is closed. One that was made for the run has opened.
func (g *game) checkGate(ctx context.Context) error {
	if g.plan.Units == 0 {
		return nil
	}
	return g.usersCommand(ctx, "--check", "--sale", g.sale)
}

// make makes users, and the sale if the plan has one.
func (g *game) make(ctx context.Context) error {
	file := filepath.Join(g.r.tmp, g.plan.name+"-"+strconv.FormatInt(time.Now().UnixNano(), 36)+".csv")
	args := []string{"--csv", file}
	if g.plan.Units > 0 {
		open := time.Hour
		if n, err := strconv.Atoi(g.plan.Properties["duration"]); err == nil {
			open += time.Duration(n) * time.Second
		}
		args = append(args, "--sale", g.sale, "--units", strconv.Itoa(g.plan.Units), "--per-user", strconv.Itoa(g.plan.PerUser), "--for", open.String())
	}
	args = append(args, strconv.Itoa(max(g.plan.Users, 1)))
	err := g.usersCommand(ctx, args...)
	// The file is there when they are, also where a signal has come too late to stop it.
	if _, e := os.Stat(file); e == nil {
		g.users, g.made = file, true
	}
	if err != nil {
		return fmt.Errorf("the users or the sale were not made: %w", err)
	}
	return nil
}

// usersCommand runs jmeter/users on the site's backends.
func (g *game) usersCommand(ctx context.Context, args ...string) error {
	cmd := exec.Command(g.r.programs.path("users"), args...)
	cmd.Env = environment(g.site.settings()...)
	var said bytes.Buffer
	exit, err := exitOf(ctx, cmd, io.Discard, &said)
	if err == nil && exit != 0 {
		err = errors.New(strings.TrimPrefix(strings.TrimSpace(said.String()), "users: "))
	}
	return err
}

// clean takes away what was made, whether the run went well or not.
func (g *game) clean(ctx context.Context) error {
	if !g.made {
		return nil
	}
	g.made = false
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	args := []string{"--clean", "--csv", g.users}
	if g.plan.Units > 0 {
		args = append(args, "--sale", g.sale, "--close")
	}
	if err := g.usersCommand(ctx, args...); err != nil {
		if g.site.own { // whose data goes with the demo
			return fmt.Errorf("users and sale of the run could not be taken away: %w", err)
		}
		// Without the file nobody could take them away later.
		kept := filepath.Join(g.folder, "users.csv")
		text, e := os.ReadFile(g.users)
		return errors.Join(fmt.Errorf("users and sale of the run are still there; the users are in %s: %w", kept, err), e, os.WriteFile(kept, text, 0o600))
	}
	return os.Remove(g.users)
}

// judge runs the verdict, and keeps what it says beside the results.
func (g *game) judge(ctx context.Context, w io.Writer) (exit int, err error) {
	text, err := os.Create(filepath.Join(g.folder, "verdict.txt"))
	if err != nil {
		return exitUnable, err
	}
	defer func() { err = errors.Join(err, text.Close()) }()
	args := []string{"--results", g.results(), "--wait", g.r.settings.wait.String(), "--plan", g.plan.json, "--json", g.figures()}
	if n := g.plan.Properties["users"]; g.plan.AllPress && n != "" {
		args = append(args, "--users", n)
	}
	if g.samples >= 0 {
		args = append(args, "--samples", strconv.Itoa(g.samples))
	}
	if g.sale != "" && g.plan.Units > 0 {
		args = append(args, "--sale", g.sale)
		args = append(args, g.site.orders()...)
	}
	cmd := exec.Command(g.r.programs.path("verdict"), args...)
	cmd.Env = environment(g.site.settings()...)
	var said bytes.Buffer
	if exit, err = exitOf(ctx, cmd, io.MultiWriter(w, text), &said); err != nil {
		return exitUnable, err
	}
	if exit != exitGreen && exit != exitRed {
		return exitUnable, errors.New(strings.TrimSpace(said.String()))
	}
	return exit, nil
}
