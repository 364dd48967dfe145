package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"flashgate/bench/naive"
	"flashgate/internal/servers"
)

// gogc is what the deployment files set (docs/performance.md): all Caddys have it, the
// bare one too.
const gogc = "400"

// startTimeout is how long a server may take to its first answer.
const startTimeout = 60 * time.Second

// A server is one Caddy, nginx or Varnish, with a Redis of its own, a worker and a part of
// the shared services where the row needs them.
type server struct {
	*process
	group  group
	row    row
	url    string
	redis  *servers.Redis
	worker *process
	stock  stock // nil for a row that sells nothing
	orders *orders
	dsn    string // of the row's database
	shared services
}

// startServer writes the row's configuration into dir, starts the server, and returns
// when it answers. The caller closes it, also one that is returned with an error.
func (b *bench) startServer(ctx context.Context, g group, r row, dir string) (*server, error) {
	s := &server{process: &process{name: r.name, log: filepath.Join(dir, "log")}, group: g, row: r, shared: b.services}
	port, err := servers.FreePort()
	if err != nil {
		return s, err
	}
	s.url = "http://127.0.0.1:" + strconv.Itoa(port)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return s, err
	}
	env := []string{"HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "FLASHGATE_KEYS=" + b.key, "GOGC=" + gogc}
	if r.redis {
		if s.redis, err = servers.StartRedis(servers.RedisConfig{Dir: filepath.Join(dir, "redis")}); err != nil {
			return s, err
		}
		env = append(env, "REDIS_URL="+s.redis.URL())
	}
	parts, err := b.share(ctx, s, g.name+"-"+r.name)
	if err != nil {
		return s, err
	}
	env = append(env, parts...)
	if s.cmd, err = b.command(ctx, s, port, dir, env); err != nil {
		return s, err
	}
	if r.stock != noStock {
		if s.stock, err = s.newStock(dir); err != nil {
			return s, err
		}
		if r.sessions {
			if err := s.stock.login(ctx, b.buyers); err != nil {
				return s, fmt.Errorf("writing the sessions: %w", err)
			}
		}
	}
	if err := b.startWorker(s, dir, env); err != nil {
		return s, err
	}
	return s, s.run()
}

// command writes the row's configuration and says how the server is started on it.
func (b *bench) command(ctx context.Context, s *server, port int, dir string, env []string) (*exec.Cmd, error) {
	config := filepath.Join(dir, "config")
	var text string
	var cmd *exec.Cmd
	switch s.row.server {
	case nginxServer:
		text = s.row.nginxConf(port)
		cmd = exec.Command(b.nginx, "-p", dir, "-c", config)
	case varnishServer:
		// Without its jail it is one user's processes, as the others are.
		cmd = exec.Command(b.varnish, "-F", "-j", "none", "-n", dir, "-a", "127.0.0.1:"+strconv.Itoa(port), "-b", b.origin.address(), "-s", "malloc,256m")
	default:
		text = s.row.caddyfile(port)
		cmd = exec.Command(b.caddy, "run", "--config", config, "--adapter", "caddyfile")
		if b.settings.profiles != "" {
			prefix := filepath.Join(b.settings.profiles, filepath.Base(dir))
			env = append(env, "BENCH_CPU_PROFILE="+prefix+".pprof")
			if b.settings.allProfiles {
				env = append(env, "BENCH_PROFILES="+prefix)
			}
		}
	}
	if s.redis != nil {
		text = strings.NewReplacer("REDIS,", strconv.Itoa(s.redis.Port())+",", "DIGEST", naive.Reserve.Hash()).Replace(text)
	}
	if b.origin != nil {
		text = strings.NewReplacer("ORIGIN", b.origin.address(), "ROOT", b.origin.folder, "PAGE", string(page)).Replace(text)
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if s.row.noQueue {
		if err := b.withoutQueue(ctx, config, dir); err != nil {
			return nil, err
		}
		cmd = exec.Command(b.caddy, "run", "--config", config)
	}
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	return cmd, nil
}

// withoutQueue turns a Caddyfile into JSON whose queue is the bench's own: no Caddyfile can
// say that.
func (b *bench) withoutQueue(ctx context.Context, config, dir string) error {
	adapt := exec.CommandContext(ctx, b.caddy, "adapt", "--config", config, "--adapter", "caddyfile")
	adapt.Dir = dir
	out, err := adapt.Output()
	if err != nil {
		return fmt.Errorf("caddy adapt: %w", err)
	}
	const queue = `"queue":{"backend":"rabbitmq","url":"{env.AMQP_URL}"}`
	if !bytes.Contains(out, []byte(queue)) {
		return fmt.Errorf("the configuration has no queue as expected:\n%s", out)
	}
	return os.WriteFile(config, bytes.Replace(out, []byte(queue), []byte(`"queue":{"backend":"bench_none"}`), 1), 0o600)
}

// ready waits for an answer; the first few of a limit that refuses are still allowed.
func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(s.url, "http://"))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ticker.C:
		case <-s.done:
			return fmt.Errorf("%s ended at its start:\n%s", s.row.name, s.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen (%w):\n%s", s.row.name, errors.Join(err, ctx.Err()), s.tail())
		}
	}
}

// status is what answers must have.
func (s *server) status() int { return s.row.statusIn(s.group) }

// refused reports whether wrk must count all answers as errors.
func (s *server) refused() bool { return s.status() >= 400 }

// body is what answers must be; nil where it is not one for all. Refusals are the
// servers' own.
func (s *server) body() []byte {
	switch {
	case s.group.answer != nil:
		return s.group.answer
	case s.group.tag, s.refused(), s.group.contains != "":
		return nil
	default:
		return []byte("ok")
	}
}

// size is the least that an answer's body has.
func (s *server) size() int { return max(len(s.body()), len(s.group.contains)) }

// get sends one request, with a key that no other has, or the next of the orders.
func (s *server) get(ctx context.Context) (status int, body []byte, err error) {
	method, path, who := http.MethodGet, "/", -1
	if s.group.traffic.orders {
		if who, err = s.orders.probe(); err != nil {
			return 0, nil, err
		}
		method, path = http.MethodPost, s.orders.path(who)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, nil)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("X-Key", "probe")
	if who >= 0 {
		req.Header.Set("X-User", string(s.orders.list[who].buyer.user))
		req.Header.Set("Cookie", "session="+s.orders.list[who].buyer.cookie)
	}
	if s.group.tag {
		req.Header.Set("If-None-Match", pageTag)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	return resp.StatusCode, body, err
}

// check asks whether the server does what its row says.
func (s *server) check(ctx context.Context) error {
	status, body, err := s.get(ctx)
	for range s.row.leaks {
		if err == nil && status == http.StatusOK {
			status, body, err = s.get(ctx)
		}
	}
	want := s.body()
	switch {
	case err != nil:
		return err
	case status != s.status():
		return fmt.Errorf("the answer must be %d, it is %d: %.200q", s.status(), status, body)
	case want != nil && !bytes.Equal(body, want), !bytes.Contains(body, []byte(s.group.contains)):
		return fmt.Errorf("the answer must be %d and %.100q, it is %d and %.100q", s.status(), string(want)+s.group.contains, status, body)
	}
	return nil
}

// redisCommands is how many commands its Redis has executed, also in scripts; 0 without
// a Redis.
func (s *server) redisCommands(ctx context.Context) (int64, error) {
	if s.redis == nil {
		return 0, nil
	}
	client := s.redis.Client()
	defer client.Close()
	info, err := client.Info(ctx, "stats").Result()
	if err != nil {
		return 0, err
	}
	const name = "total_commands_processed:"
	for line := range bytes.Lines([]byte(info)) {
		if value, ok := bytes.CutPrefix(line, []byte(name)); ok {
			return strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
		}
	}
	return 0, errors.New("redis: INFO without " + name[:len(name)-1])
}

// close ends the server and what is its own.
func (s *server) close() error {
	errs := []error{s.process.close(), s.worker.close()}
	if s.stock != nil {
		errs = append(errs, s.stock.close())
	}
	if s.redis != nil {
		errs = append(errs, s.redis.Close())
	}
	return errors.Join(errs...)
}
