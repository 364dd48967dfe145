package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// settings of a run, from the environment; jmeter/README.md explains each. Zero values
// are the plan's own.
type settings struct {
	root string // the project's folder

	plans    []string // PLAN
	target   string   // TARGET; empty: a demo of its own
	users    int      // USERS
	units    int      // UNITS
	sale     string   // SALE
	usersCSV string   // USERS_CSV
	rampUp   string   // RAMP_UP, seconds
	duration string   // DURATION, seconds
	think    string   // THINK_TIME, milliseconds

	key                     string // FLASHGATE_LOADTEST_KEY
	data, mysql, redis, amq string // FLASHGATE_DATA, MYSQL_DSN, REDIS_URL, AMQP_URL

	out     string // OUT
	report  bool   // REPORT
	jmeter  string // JMETER
	heap    string // HEAP
	golang  string // GO
	history string // HISTORY
	rounds  int    // ROUNDS, of a comparison

	properties []string      // name=value of -J
	engines    []string      // host:port
	wait       time.Duration // the verdict's
	env        func(string) string
}

func settingsFrom(env func(string) string) (s settings, err error) {
	or := func(name, otherwise string) string {
		if v := env(name); v != "" {
			return v
		}
		return otherwise
	}
	s = settings{
		plans:  strings.FieldsFunc(env("PLAN"), func(r rune) bool { return r == ' ' || r == ',' }),
		target: env("TARGET"), sale: env("SALE"), usersCSV: env("USERS_CSV"),
		rampUp: env("RAMP_UP"), duration: env("DURATION"), think: env("THINK_TIME"),
		key: env("FLASHGATE_LOADTEST_KEY"), data: env("FLASHGATE_DATA"), mysql: env("MYSQL_DSN"), redis: env("REDIS_URL"), amq: env("AMQP_URL"),
		out:    or("OUT", filepath.Join("data", "jmeter", time.Now().Format("20060102-150405-")+strconv.Itoa(os.Getpid()))),
		report: env("REPORT") != "no", jmeter: env("JMETER"), heap: or("HEAP", "-Xms256m -Xmx2g"), golang: or("GO", "go"),
		history: env("HISTORY"), env: env,
	}
	for name, to := range map[string]*int{"USERS": &s.users, "UNITS": &s.units, "ROUNDS": &s.rounds} {
		v := env(name)
		if v == "" {
			continue
		}
		if *to, err = strconv.Atoi(v); err != nil || *to < 1 {
			return s, fmt.Errorf("%s is %q; it must be a whole number of at least 1", name, v)
		}
	}
	if v := env("REPORT"); v != "" && v != "yes" && v != "no" {
		return s, fmt.Errorf("REPORT is %q; write yes or no", v)
	}
	if s.rounds == 0 {
		s.rounds = 2
	}
	for _, name := range []string{"RAMP_UP", "DURATION", "THINK_TIME"} {
		if v := env(name); v != "" {
			if n, err := strconv.Atoi(v); err != nil || n < 0 {
				return s, fmt.Errorf("%s is %q; it must be a whole number", name, v)
			}
		}
	}
	if s.root, err = projectFolder(); err != nil {
		return s, err
	}
	for _, file := range []*string{&s.out, &s.history, &s.usersCSV, &s.data} {
		if *file != "" {
			if *file, err = filepath.Abs(*file); err != nil {
				return s, err
			}
		}
	}
	return s, nil
}

// projectFolder is the nearest folder upwards that has the plans.
func projectFolder() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "jmeter", "pom.xml")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not in the project: there is no jmeter/pom.xml", start)
		}
	}
}
