package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"flashgate/internal/servers"
)

// startTimeout is how long a server may take to its first answer.
const startTimeout = 60 * time.Second

// A server is one Caddy or nginx, with a Redis of its own where the row needs one.
type server struct {
	group group
	row   row
	url   string
	cmd   *exec.Cmd
	log   string
	done  chan struct{} // closed when it has ended
	redis *servers.Redis
}

// startServer writes the row's configuration into dir, starts the server, and returns
// when it answers. The caller closes it, also one that is returned with an error.
func (b *bench) startServer(ctx context.Context, g group, r row, dir string) (*server, error) {
	s := &server{group: g, row: r, log: filepath.Join(dir, "log")}
	port, err := servers.FreePort()
	if err != nil {
		return s, err
	}
	s.url = "http://127.0.0.1:" + strconv.Itoa(port) + "/"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return s, err
	}
	env := append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	if r.redis {
		if s.redis, err = servers.StartRedis(servers.RedisConfig{Dir: filepath.Join(dir, "redis")}); err != nil {
			return s, err
		}
		env = append(env, "REDIS_URL="+s.redis.URL())
	}
	config := filepath.Join(dir, "config")
	var text string
	switch r.server {
	case nginxServer:
		text = r.nginxConf(port)
		s.cmd = exec.Command(b.nginx, "-p", dir, "-c", config)
	case varnishServer:
		// Without its jail it is one user's processes, as the others are.
		s.cmd = exec.Command(b.varnish, "-F", "-j", "none", "-n", dir, "-a", "127.0.0.1:"+strconv.Itoa(port), "-b", b.origin.address(), "-s", "malloc,256m")
	default:
		text = r.caddyfile(port)
		s.cmd = exec.Command(b.caddy, "run", "--config", config, "--adapter", "caddyfile")
		if b.settings.profiles != "" {
			env = append(env, "BENCH_CPU_PROFILE="+filepath.Join(b.settings.profiles, filepath.Base(dir)+".pprof"))
		}
	}
	if b.origin != nil {
		text = strings.NewReplacer("ORIGIN", b.origin.address(), "ROOT", b.origin.folder, "PAGE", string(page)).Replace(text)
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return s, err
	}
	s.cmd.Dir, s.cmd.Env, s.cmd.SysProcAttr = dir, env, attributes()
	if err := s.run(); err != nil {
		return s, err
	}
	return s, s.ready(ctx)
}

// run starts the process. The kernel ends it with the thread that started it, so a
// goroutine keeps that thread.
func (s *server) run() error {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	started := make(chan error)
	s.done = make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(s.done)
		err := s.cmd.Start()
		started <- err
		if err == nil {
			_ = s.cmd.Wait() // how a server ends after its last request is no figure
		}
	}()
	return <-started
}

// ready waits for an answer; the first few of a limit that refuses are still allowed.
func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		status, _, err := s.get(ctx)
		if err == nil && (status == s.status() || status == http.StatusOK) {
			return nil
		}
		select {
		case <-ticker.C:
		case <-s.done:
			return fmt.Errorf("%s ended at its start:\n%s", s.row.name, s.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer (status %d, %w):\n%s", s.row.name, status, errors.Join(err, ctx.Err()), s.tail())
		}
	}
}

// status is what answers must have.
func (s *server) status() int {
	switch {
	case s.row.refused:
		return http.StatusTooManyRequests
	case s.group.tag:
		return http.StatusNotModified
	default:
		return http.StatusOK
	}
}

// body is what answers must be. Refusals are the servers' own.
func (s *server) body() []byte {
	switch {
	case s.group.answer != nil:
		return s.group.answer
	case s.group.tag:
		return nil
	default:
		return []byte("ok")
	}
}

func (s *server) size() int { return len(s.body()) }

// get sends one request, with a key that no other has.
func (s *server) get(ctx context.Context) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("X-Key", "probe")
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
	switch {
	case err != nil:
		return err
	case s.row.refused && status != http.StatusTooManyRequests:
		return fmt.Errorf("the answer must be 429, it is %d", status)
	case !s.row.refused && (status != s.status() || !bytes.Equal(body, s.body())):
		return fmt.Errorf("the answer must be %d and %.100q, it is %d and %.100q", s.status(), s.body(), status, body)
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

// close ends the server, in good order so that a profile is complete, and its Redis.
func (s *server) close() error {
	var err error
	if s.cmd != nil && s.cmd.Process != nil {
		interrupt(s.cmd.Process.Pid)
		late := time.NewTimer(10 * time.Second)
		defer late.Stop()
		select {
		case <-s.done:
		case <-late.C:
			killGroup(s.cmd.Process.Pid)
			<-s.done
			err = fmt.Errorf("%s had to be killed:\n%s", s.row.name, s.tail())
		}
	}
	if s.redis != nil {
		err = errors.Join(err, s.redis.Close())
	}
	return err
}

// forget empties the log, of which a server that logs each refusal writes gigabytes.
func (s *server) forget() error { return os.Truncate(s.log, 0) }

// tail is the end of the log.
func (s *server) tail() string {
	b, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}
