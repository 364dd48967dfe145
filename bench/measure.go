package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// bench holds what runs.
type bench struct {
	settings settings
	dir      string // temporary
	caddy    string // programs
	nginx    string
	wrk      string
	varnish  string
	origin   *origin // of the rows that cache
	scripts  map[traffic]string
	servers  map[string]*server // by group/name
	started  []*server
}

// newBench builds Caddy and finds the other programs.
func newBench(ctx context.Context, s settings, groups []group) (b *bench, err error) {
	b = &bench{settings: s, scripts: map[traffic]string{}, servers: map[string]*server{}}
	programs := []string{"wrk", "nginx", "redis-server"}
	if anyRow(groups, func(r row) bool { return r.server == varnishServer }) {
		programs = append(programs, "varnishd")
	}
	found, err := lookUp(programs...)
	if err != nil {
		return nil, err
	}
	b.wrk, b.nginx, b.varnish = found[0], found[1], found[len(found)-1]
	if b.caddy, err = filepath.Abs(filepath.Join("..", "bin", "flashgate-bench-caddy")); err != nil {
		return nil, err
	}
	if s.profiles != "" {
		if b.settings.profiles, err = filepath.Abs(s.profiles); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(b.settings.profiles, 0o755); err != nil {
			return nil, err
		}
	}
	// The tags are xcaddy's: without them Caddy links drivers of databases.
	build := exec.CommandContext(ctx, "go", "build", "-tags", "nobadger,nomysql,nopgx", "-o", b.caddy, "./caddy")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build ./caddy (run the bench in its own folder: go -C bench run .): %w:\n%s", err, out)
	}
	if b.dir, err = os.MkdirTemp("", "flashgate-bench-"); err != nil {
		return nil, err
	}
	for i, t := range []traffic{{}, {keys: true}, {tag: true}} {
		b.scripts[t] = filepath.Join(b.dir, fmt.Sprintf("load-%d.lua", i))
		if err := s.writeScript(b.scripts[t], t); err != nil {
			return nil, errors.Join(err, b.close())
		}
	}
	if anyRow(groups, func(r row) bool { return r.server == varnishServer || r.last != "" }) {
		if b.origin, err = startOrigin(b.dir); err != nil {
			return nil, errors.Join(err, b.close())
		}
	}
	return b, nil
}

// lookUp finds programs also where the PATH of an ordinary user does not look, or says
// which are missing. Debian's packages are called like the programs,
// but for varnishd.
func lookUp(programs ...string) (paths []string, err error) {
	var missing []string
	for _, program := range programs {
		path, err := exec.LookPath(program)
		for _, folder := range []string{"/usr/sbin", "/usr/local/sbin", "/usr/local/bin"} {
			if err != nil {
				path, err = exec.LookPath(filepath.Join(folder, program))
			}
		}
		if err != nil {
			missing = append(missing, program)
		}
		paths = append(paths, path)
	}
	if len(missing) > 0 {
		names := strings.Replace(strings.Join(missing, " "), "varnishd", "varnish", 1)
		return nil, fmt.Errorf("the bench needs %s; on Debian, as root: apt-get install --no-install-recommends %s", names, names)
	}
	return paths, nil
}

// close ends what was started and removes the folder.
func (b *bench) close() error {
	var errs []error
	for _, s := range slices.Backward(b.started) {
		errs = append(errs, s.close())
	}
	return errors.Join(append(errs, b.origin.close(), os.RemoveAll(b.dir))...)
}

// start starts the servers of all rows and warms them up: keys are known, limits that
// refuse are used up, and every row has shown that it does what it says.
func (b *bench) start(ctx context.Context, groups []group) error {
	for _, g := range groups {
		for _, r := range g.rows {
			id := g.name + "/" + r.name
			dir := strings.NewReplacer("/", "-", " ", "-", ",", "").Replace(id)
			s, err := b.startServer(ctx, g, r, filepath.Join(b.dir, dir))
			b.started = append(b.started, s)
			if err != nil {
				return err
			}
			b.servers[id] = s
			if _, err := b.runLoad(ctx, s.url, b.scripts[g.traffic], time.Second); err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
			if err := s.check(ctx); err != nil {
				return fmt.Errorf("%s: %w\n%s", id, err, s.tail())
			}
			if err := s.forget(); err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "ready: %s\n", id)
		}
	}
	return nil
}

// measure runs the rounds. In each round every row of every group is measured once, the
// rows of a group one after the other; every second round goes backwards, so that what
// drifts meets all rows alike.
func (b *bench) measure(ctx context.Context, groups []group) ([]groupResult, error) {
	results := make([]groupResult, len(groups))
	for i, g := range groups {
		results[i] = newGroupResult(g)
	}
	for round := range b.settings.Rounds {
		for i, g := range groups {
			order := make([]int, len(g.rows))
			for k := range order {
				order[k] = k
			}
			if round%2 == 1 {
				slices.Reverse(order)
			}
			for _, k := range order {
				id := g.name + "/" + g.rows[k].name
				sample, err := b.sample(ctx, b.servers[id])
				if err != nil {
					return nil, fmt.Errorf("%s, round %d: %w\n%s", id, round+1, err, b.servers[id].tail())
				}
				sample.Round = round + 1
				results[i].Rows[k].Samples = append(results[i].Rows[k].Samples, sample)
			}
		}
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, b.settings.Rounds)
	}
	for i := range results {
		results[i].sum()
	}
	return results, nil
}

// sample measures one row once, and fails when the answers are not those of the row.
func (b *bench) sample(ctx context.Context, s *server) (sample, error) {
	if err := s.check(ctx); err != nil {
		return sample{}, err
	}
	before, err := s.usage(ctx)
	if err != nil {
		return sample{}, err
	}
	l, err := b.runLoad(ctx, s.url, b.scripts[s.group.traffic], b.settings.each())
	if err != nil {
		return sample{}, err
	}
	after, err := s.usage(ctx)
	if err != nil {
		return sample{}, err
	}
	commands := after.commands - before.commands - 1 // INFO itself
	switch err := errors.Join(l.check(s.row, s.size()), s.check(ctx)); {
	case err != nil:
		return sample{}, err
	case s.row.redis && commands < 1:
		return sample{}, errors.New("row with Redis: it was not asked")
	}
	if err := s.forget(); err != nil {
		return sample{}, err
	}
	n := float64(l.Requests)
	m := sample{
		Requests: l.Requests, Seconds: float64(l.Microseconds) / 1e6, PerSecond: n / float64(l.Microseconds) * 1e6,
		P50: l.P50, P99: l.P99,
		ServerCPU: (after.server - before.server).Seconds() * 1e6 / n, LoadCPU: l.cpu.Seconds() * 1e6 / n,
	}
	if s.row.redis {
		m.RedisCPU = (after.redis - before.redis).Seconds() * 1e6 / n
		m.RedisCommands = float64(commands) / n
	}
	return m, nil
}

// usage is what the processes of a server have used so far.
type usage struct {
	server, redis time.Duration
	commands      int64
}

func (s *server) usage(ctx context.Context) (u usage, err error) {
	if u.server, err = cpuTime(s.cmd.Process.Pid); err != nil || s.redis == nil {
		return u, err
	}
	for _, p := range s.redis.Processes() {
		used, err := cpuTime(p.PID)
		if err != nil {
			return u, err
		}
		u.redis += used
	}
	u.commands, err = s.redisCommands(ctx)
	return u, err
}
