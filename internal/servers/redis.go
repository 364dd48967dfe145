package servers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// RedisConfig is how to start a Redis. The zero value is useful.
type RedisConfig struct {
	// Dir holds data and log. Default: a temporary folder, which Close removes.
	Dir string
	// Port on 127.0.0.1. Default: a free one.
	Port int
	// Appendonly is how often the append-only file is synced: "everysec" (the
	// default), "always", "no" (left to the system), or "off" for no file at all, so
	// that a restart comes back empty.
	Appendonly string
	// Password that clients must send. Default: none.
	Password string
	// TLS makes it accept TLS only, with a new certificate for 127.0.0.1 and localhost
	// from an authority of its own (CAFile).
	TLS bool
	// Args come last on the command line, so they win: "--maxmemory", "1mb".
	Args []string
	// Detach lets the server outlive this process. It needs Dir.
	Detach bool
}

// Redis is one private Redis server.
type Redis struct {
	server
	cfg RedisConfig
	tls *tls.Config // of a client; nil without TLS
}

// StartRedis starts a Redis and returns when it answers.
func StartRedis(cfg RedisConfig) (*Redis, error) {
	binary, err := lookUp("redis-server", "redis-server")
	if err != nil {
		return nil, err
	}
	if err := checkDetach(cfg.Detach, cfg.Dir); err != nil {
		return nil, err
	}
	folder, err := openFolder(cfg.Dir, "redis")
	if err != nil {
		return nil, err
	}
	r := &Redis{server: server{name: "redis", folder: folder}, cfg: cfg}
	if cfg.TLS {
		if r.tls, err = writeCertificates(folder.path); err != nil {
			return nil, errors.Join(err, folder.remove())
		}
	}
	r.parts = []part{{name: "redis", ready: r.ready, command: func() (command, error) {
		return command{path: binary, args: r.args(), dir: folder.path, detach: cfg.Detach}, nil
	}}}
	var choose func() error
	if cfg.Port == 0 {
		choose = func() error {
			ports, err := freePorts(1)
			if err == nil {
				r.cfg.Port = ports[0]
			}
			return err
		}
	}
	if err := r.startFirst(choose); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Redis) args() []string {
	sync := r.cfg.Appendonly
	if sync == "" {
		sync = "everysec"
	}
	args := []string{"--bind", loopback, "--dir", r.Dir(), "--save", "", "--daemonize", "no", "--logfile", ""}
	if sync == "off" {
		args = append(args, "--appendonly", "no")
	} else {
		args = append(args, "--appendonly", "yes", "--appendfsync", sync)
	}
	port := strconv.Itoa(r.cfg.Port)
	if r.cfg.TLS {
		args = append(args, "--port", "0", "--tls-port", port, "--tls-auth-clients", "no",
			"--tls-cert-file", filepath.Join(r.Dir(), certificateName), "--tls-key-file", filepath.Join(r.Dir(), keyName),
			"--tls-ca-cert-file", r.CAFile(), "--tls-replication", "yes")
	} else {
		args = append(args, "--port", port)
	}
	if r.cfg.Password != "" {
		args = append(args, "--requirepass", r.cfg.Password, "--masterauth", r.cfg.Password)
	}
	return append(args, r.cfg.Args...)
}

func (r *Redis) ready(ctx context.Context, p Process) error {
	if err := reachable(ctx, r.Addr()); err != nil {
		return err
	}
	return answersAs(ctx, r.Client(), p)
}

// answersAs asks for the server's pid, because another test's server may sit on the
// port, and whether the data is loaded. It closes the client.
func answersAs(ctx context.Context, client *redis.Client, p Process) error {
	defer client.Close()
	info, err := client.Info(ctx, "server").Result()
	if err != nil {
		return err
	}
	if !strings.Contains(info, "process_id:"+strconv.Itoa(p.PID)+"\r\n") {
		return errors.New("another server answers")
	}
	return client.Ping(ctx).Err() // LOADING while it reads its file
}

// Client returns a new client of this very server; the caller closes it. It does
// not try again and holds few connections: for checks, not for load.
func (r *Redis) Client() *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: r.Addr(), Password: r.cfg.Password, TLSConfig: r.tls, MaxRetries: -1, PoolSize: 2, Protocol: 2,
	})
}

// Addr is the server's host and port.
func (r *Redis) Addr() string { return address(r.cfg.Port) }

// Port is the port on 127.0.0.1.
func (r *Redis) Port() int { return r.cfg.Port }

// URL is redis://127.0.0.1:port/0, with the password and as rediss: where those are
// set. A client of a rediss: URL must trust CAFile.
func (r *Redis) URL() string {
	u := url.URL{Scheme: "redis", Host: r.Addr(), Path: "/0"}
	if r.cfg.TLS {
		u.Scheme = "rediss"
	}
	if r.cfg.Password != "" {
		u.User = url.UserPassword("", r.cfg.Password)
	}
	return u.String()
}

// CAFile is the PEM file of the authority that signed the server's certificate, or
// empty without TLS.
func (r *Redis) CAFile() string {
	if !r.cfg.TLS {
		return ""
	}
	return filepath.Join(r.Dir(), authorityName)
}

// Wipe removes the data. The server must be stopped.
func (r *Redis) Wipe() error {
	if len(r.Processes()) > 0 {
		return errors.New("servers: redis must be stopped before its data is removed")
	}
	err := os.RemoveAll(filepath.Join(r.Dir(), "appendonlydir"))
	if e := os.Remove(filepath.Join(r.Dir(), "dump.rdb")); e != nil && !errors.Is(e, os.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return err
}

// reachable fails fast and quietly while nobody listens; client libraries try
// again and write to the log.
func reachable(ctx context.Context, addr string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp4", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

func checkDetach(detach bool, dir string) error {
	if detach && dir == "" {
		return fmt.Errorf("servers: Detach needs Dir: a temporary folder belongs to the process that made it")
	}
	return nil
}
