package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// run runs JMeter on the plan.
func (g *game) run(ctx context.Context) error {
	r := g.r
	fmt.Fprintf(os.Stderr, "load: %s at %s%s\n", g.plan.name, g.site.url, g.described())
	args := []string{"-n", "-t", g.plan.jmx, "-q", filepath.Join(r.settings.root, "jmeter", "flashgate.properties"),
		"-l", g.results(), "-j", g.log()}
	// With remote engines JMeter notes in it what they are sent, the load-test key as well.
	if err := os.WriteFile(g.log(), nil, 0o600); err != nil {
		return err
	}
	properties, err := g.properties()
	if err != nil {
		return err
	}
	args = append(args, properties...)
	if len(r.settings.engines) > 0 {
		args = append(args, "-R", strings.Join(r.settings.engines, ","))
	}
	if r.settings.report {
		args = append(args, "-e", "-o", filepath.Join(g.folder, "report"))
	}
	cmd := exec.Command(r.client.command[0], append(slices.Clone(r.client.command[1:]), args...)...)
	cmd.Env = environment()
	said := newSummary(os.Stderr)
	exit, err := exitOf(ctx, cmd, said, os.Stderr)
	switch {
	case ctx.Err() != nil:
		return errors.New("stopped by a signal")
	case err != nil || exit != 0:
		return fmt.Errorf("JMeter failed (%w); its log is in %s", errors.Join(err, fmt.Errorf("exit status %d", exit)), g.folder)
	}
	if len(r.settings.engines) == 0 { // theirs are summed up by each for itself
		g.samples = said.samples
	}
	return nil
}

func (g *game) described() string {
	var text string
	if g.sale != "" {
		text = ", sale " + g.sale
	}
	if n := g.plan.Properties["users"]; n != "" {
		text += ", " + n + " users"
	}
	return text
}

// properties are the -J options. Remote engines have their own properties, so that those
// which the plan reads are sent to them (-G).
func (g *game) properties() (args []string, err error) {
	values := maps.Clone(g.plan.Properties)
	maps.Copy(values, g.site.properties())
	if g.sale != "" {
		values["sale"] = g.sale
	}
	if g.users != "" {
		values["data"] = g.users
	}
	// What was given by -J is the last word.
	maps.Copy(values, g.plan.given(g.r.settings))
	read, err := g.plan.reads()
	if err != nil {
		return nil, err
	}
	if len(g.r.settings.engines) > 0 {
		if err := g.share(values); err != nil {
			return nil, err
		}
	}
	// Every user of the machine can read a command line, and JMeter writes its own into its log.
	if key := values["key"]; key != "" && read["key"] {
		file, err := g.secret("key", key)
		if err != nil {
			return nil, err
		}
		if len(g.r.settings.engines) > 0 {
			args = append(args, "-G"+file)
		} else {
			args = append(args, "-q", file)
		}
	}
	delete(values, "key")
	for _, name := range slices.Sorted(maps.Keys(values)) {
		option := "-J"
		if read[name] && len(g.r.settings.engines) > 0 {
			option = "-G"
		}
		args = append(args, option+name+"="+values[name])
	}
	return args, nil
}

// inProperties are characters that mean something in Java's files of properties.
var inProperties = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`, " ", `\ `)

// secret writes a property into a file that only this user can read.
func (g *game) secret(name, value string) (file string, err error) {
	f, err := os.CreateTemp(g.r.tmp, "*.properties")
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(name + "=" + inProperties.Replace(value) + "\n")
	return f.Name(), errors.Join(err, f.Close())
}

// share gives each engine its part of the users: a file of its own, users-1.csv and so on
// beside the results, which the engine must have been started with (-Jdata=…).
func (g *game) share(values map[string]string) error {
	engines := len(g.r.settings.engines)
	if n, err := strconv.Atoi(values["users"]); err == nil {
		if n < engines {
			return fmt.Errorf("%d users cannot be shared by %d engines", n, engines)
		}
		values["users"] = strconv.Itoa(n / engines)
	}
	delete(values, "data")
	if g.users == "" {
		return nil
	}
	text, err := os.ReadFile(g.users)
	if err != nil {
		return err
	}
	head, rest, _ := strings.Cut(string(text), "\n")
	parts := make([]strings.Builder, engines)
	i := 0
	for line := range strings.Lines(rest) {
		parts[i%engines].WriteString(line)
		i++
	}
	for i := range parts {
		file := filepath.Join(g.folder, fmt.Sprintf("users-%d.csv", i+1))
		if err := os.WriteFile(file, []byte(head+"\n"+parts[i].String()), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// printPlans prints a line for each plan.
func printPlans(w io.Writer, all []outcome) {
	fmt.Fprintln(w, "==")
	for _, o := range all {
		fmt.Fprintf(w, "%-16s %-8s %4.0f s  %s\n", o.plan, o.verdict(), o.seconds, o.folder)
	}
}
