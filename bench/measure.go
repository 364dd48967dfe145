package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"flashgate"
)

// bench holds what runs.
type bench struct {
	services
	settings settings
	dir      string // temporary
	caddy    string // programs
	worker   string
	nginx    string
	wrk      string
	varnish  string
	origin   *origin // of the rows that cache
	scripts  map[traffic]string
	servers  map[string]*server // by group/name
	started  []*server

	key    string // flashgate's signing key, of all rows
	keys   *flashgate.Keyring
	buyers []buyer
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
	if anyRow(groups, row.lua) {
		if _, err := os.Stat(nginxLuaModule); err != nil {
			return nil, fmt.Errorf("the bench needs nginx with Lua (%w); on Debian, as root: apt-get install --no-install-recommends libnginx-mod-http-lua lua-resty-core", err)
		}
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
	b.worker = filepath.Join(filepath.Dir(b.caddy), "flashgate-bench-orderworker")
	if err := b.build(ctx, groups); err != nil {
		return nil, err
	}
	b.key = flashgate.NewKey()
	if b.keys, err = flashgate.ParseKeyring(b.key); err != nil {
		return nil, err
	}
	b.buyers = newBuyers(buyers)
	if b.dir, err = os.MkdirTemp("", "flashgate-bench-"); err != nil {
		return nil, err
	}
	if err := b.startServices(groups); err != nil {
		return nil, errors.Join(err, b.close())
	}
	for i, t := range []traffic{{}, {keys: true}, {tag: true}} {
		b.scripts[t] = filepath.Join(b.dir, fmt.Sprintf("load-%d.lua", i))
		if err := s.writeScript(b.scripts[t], t, "", 0); err != nil {
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

// build builds the servers. The tags are xcaddy's: without them Caddy links drivers of
// databases.
func (b *bench) build(ctx context.Context, groups []group) error {
	commands := [][]string{{"build", "-tags", "nobadger,nomysql,nopgx", "-o", b.caddy, "./caddy"}}
	if anyRow(groups, row.places) {
		commands = append(commands, []string{"build", "-C", "..", "-o", b.worker, "./orderworker"})
	}
	for _, args := range commands {
		if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("go %s (run the bench in its own folder: go -C bench run .): %w:\n%s", strings.Join(args, " "), err, out)
		}
	}
	return nil
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
	return errors.Join(append(errs, b.services.close(), b.origin.close(), os.RemoveAll(b.dir))...)
}

// start starts the servers of all rows and warms them up: keys are known, limits that
// refuse are used up, and every row has shown that it does what it says.
func (b *bench) start(ctx context.Context, groups []group) error {
	for _, g := range groups {
		orders, script, err := b.newOrders(g, "warm", time.Second, 0)
		if err != nil {
			return err
		}
		for _, r := range g.rows {
			id := g.name + "/" + r.name
			if r.halfOf != "" {
				twin := *b.servers[g.name+"/"+r.halfOf]
				twin.row = r
				twin.row.redis, twin.row.queue, twin.row.quiet = true, true, true
				b.servers[id] = &twin
				continue
			}
			dir := strings.NewReplacer("/", "-", " ", "-", ",", "", "+", "and").Replace(id)
			s, err := b.startServer(ctx, g, r, filepath.Join(b.dir, dir))
			b.started = append(b.started, s)
			if err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
			b.servers[id] = s
			if err := b.warm(ctx, s, orders, script); err != nil {
				return fmt.Errorf("%s: %w\n%s", id, err, s.tail())
			}
			fmt.Fprintf(os.Stderr, "ready: %s\n", id)
		}
	}
	return nil
}

// warm shows that a row does what it says, after a second of load.
func (b *bench) warm(ctx context.Context, s *server, orders *orders, script string) error {
	if err := s.prepare(ctx, orders); err != nil {
		return err
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	if _, err := b.runLoad(ctx, s.url, script, b.connections(s.group), time.Second); err != nil {
		return err
	}
	if err := s.check(ctx); err != nil {
		return err
	}
	_, err := s.drain(ctx)
	return errors.Join(err, s.forget())
}

// connections of a group.
func (b *bench) connections(g group) int { return cmp.Or(g.connections, b.settings.Connections) }

// each is how long a sample of a group takes.
func (b *bench) each(g group) time.Duration {
	return b.settings.each() * time.Duration(max(1, g.longer))
}

// newOrders mints what a group is driven by for so long, with pauses of a connection between
// two requests, and writes wrk's script for it.
// Groups that do not sell have a script already.
func (b *bench) newOrders(g group, sale flashgate.SaleID, d, pause time.Duration) (*orders, string, error) {
	if !g.orders {
		return nil, b.scripts[g.traffic], nil
	}
	o := b.mintOrders(sale, int(d.Seconds()*perSecondAtMost))
	list := filepath.Join(b.dir, "orders-"+string(sale))
	script := list + ".lua"
	if err := o.write(list); err != nil {
		return nil, "", err
	}
	return o, script, b.settings.writeScript(script, g.traffic, list, pause)
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
			orders, script, err := b.newOrders(g, flashgate.SaleID(fmt.Sprintf("r%d", round+1)), b.each(g), 0)
			if err != nil {
				return nil, err
			}
			for _, k := range turns(len(g.rows), round) {
				id := g.name + "/" + g.rows[k].name
				s := b.servers[id]
				own, err := b.plan(s, &results[i], orders, script)
				if err != nil {
					return nil, err
				}
				sample, err := b.sample(ctx, s, own)
				if err != nil {
					return nil, fmt.Errorf("%s, round %d: %w\n%s", id, round+1, err, s.tail())
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

// turns is the order of the rows in a round.
func turns(rows, round int) []int {
	order := make([]int, rows)
	for k := range order {
		order[k] = k
	}
	if round%2 == 1 {
		slices.Reverse(order)
	}
	return order
}
