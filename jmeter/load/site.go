package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// demoName in the place of an address is a demo that the run starts; demo:FILE is one on
// another Caddyfile.
const demoName = "demo"

// site is what is tested, and where it keeps its users and orders.
type site struct {
	name  string // as history has it: demo, demo:FILE or site
	url   *url.URL
	key   string
	data  string // folder of the embedded file
	mysql string
	redis string
	amqp  string
	own   bool // started by this run
}

// settings are those of the project's programs that work on this site's backends.
func (t *site) settings() []string {
	if t.mysql != "" {
		return []string{"MYSQL_DSN=" + t.mysql, "REDIS_URL=" + t.redis, "AMQP_URL=" + t.amqp}
	}
	return []string{"FLASHGATE_DATA=" + t.data}
}

// orders are the verdict's flags for the same, with passwords in its settings: every user
// of the machine can read a command line.
func (t *site) orders() []string {
	if t.mysql == "" {
		return []string{"--data", t.data}
	}
	return []string{"--env"}
}

// properties of the plans: where the site is.
func (t *site) properties() map[string]string {
	port, cookie := t.url.Port(), "session"
	if t.url.Scheme == "https" {
		cookie = "__Host-session"
	}
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[t.url.Scheme]
	}
	return map[string]string{"scheme": t.url.Scheme, "host": t.url.Hostname(), "port": port, "cookie": cookie, "key": t.key}
}

// runningSite is one that is there already. In a comparison the settings of one of the two
// end in _A or _B, and those without are for both.
func runningSite(address string, s settings, suffix string) (*site, error) {
	u, err := url.Parse(address)
	// What was given is not repeated: it may have a password.
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, errors.New("the target must be an address such as http://127.0.0.1:8080")
	}
	if u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the target must be an address such as http://127.0.0.1:8080, without user, path and query: the plans know their own")
	}
	t := &site{name: "site", url: u, key: s.key, data: s.data, mysql: s.mysql, redis: s.redis, amqp: s.amq}
	if suffix != "" {
		for name, to := range map[string]*string{"FLASHGATE_LOADTEST_KEY": &t.key, "FLASHGATE_DATA": &t.data,
			"MYSQL_DSN": &t.mysql, "REDIS_URL": &t.redis, "AMQP_URL": &t.amqp} {
			if v := s.env(name + "_" + suffix); v != "" {
				*to = v
			}
		}
	}
	return t, nil
}

// fits says what is missing for a plan, before anybody is asked. makes: users and sale
// are made for the run.
func (t *site) fits(p plan, makes bool) error {
	switch {
	case t.own:
		return nil
	case t.mysql != "" && t.redis == "":
		return errors.New("set REDIS_URL beside MYSQL_DSN: users' sessions are in Redis")
	case t.mysql != "" && t.amqp == "" && makes && p.Units > 0:
		return errors.New("set AMQP_URL beside MYSQL_DSN: without it the sale of the run cannot be taken away again")
	}
	if p.wants("key") && t.key == "" {
		return errors.New("set FLASHGATE_LOADTEST_KEY as the gateway has it: buyers must be told the captchas' answers")
	}
	if p.Users+p.Units > 0 && t.data == "" && t.mysql == "" {
		return fmt.Errorf("set FLASHGATE_DATA, or MYSQL_DSN and REDIS_URL: users are made, and the verdict reads the orders of %s, there", t.url)
	}
	return nil
}

// checkData makes sure that the folder has a site's file: the users' command would make
// an empty one.
func (t *site) checkData() error {
	if t.mysql != "" {
		return nil
	}
	if _, err := os.Stat(filepath.Join(t.data, "flashgate.db")); err != nil {
		return fmt.Errorf("%s has no flashgate.db: FLASHGATE_DATA is not the site's (%w)", t.data, err)
	}
	return nil
}

// sites are those of a run. Demos start when they are first asked for.
type sites struct {
	r    *runner
	open map[string]*demo
}

// at gives the site of a target: an address, demo or demo:FILE. A plan's own Caddyfile
// is for demos that name none.
func (ss *sites) at(ctx context.Context, target, suffix string, p plan) (*site, error) {
	if target != demoName && !strings.HasPrefix(target, demoName+":") {
		return runningSite(target, ss.r.settings, suffix)
	}
	file := ""
	if _, named, ok := strings.Cut(target, ":"); ok {
		file = named
	} else if p.Caddyfile != "" {
		file = "jmeter/" + p.Caddyfile
	}
	if d, ok := ss.open[file]; ok {
		return d.site, nil
	}
	d, err := startDemo(ctx, ss.r, file)
	if err != nil {
		return nil, err
	}
	ss.open[file] = d
	return d.site, nil
}

// stop ends the demos; all of them, whatever happens.
func (ss *sites) stop() error {
	var errs []error
	for _, d := range ss.open {
		errs = append(errs, d.stop())
	}
	ss.open = map[string]*demo{}
	return errors.Join(errs...)
}
