package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Config says what to run and where.
type Config struct {
	Gateways int // default 1
	Workers  int // default 1

	Bin  string // folder of the programs flashgate-demo, shopapp and orderworker
	Root string // folder of Caddyfile.real; default the working directory
	Data string // folder of the demo's password; default ./data

	RedisURL, AMQPURL, MySQLDSN string
	Keys                        string // FLASHGATE_KEYS
	LoadtestKey                 string // FLASHGATE_LOADTEST_KEY; empty: off

	// Addresses of the first gateway, its admin API, the shop and the first worker.
	// The others count up from there by ten; with port 0 all of them are free ports.
	GatewayAddr, AdminAddr, ShopAddr, WorkerAddr string

	Env []string // further settings of all processes, such as ORDER_TTL=1m
	// EnvOf, if not nil, gives further settings of one process, by its name; they win.
	EnvOf  func(process string) []string
	Output io.Writer // what the processes print; nil: only the end is kept, for errors
}

// Defaults of Config's addresses.
const (
	DefaultGatewayAddr = ":8080"
	DefaultAdminAddr   = "localhost:2019"
	DefaultShopAddr    = "127.0.0.1:8081"
	DefaultWorkerAddr  = "127.0.0.1:8082"
)

// step is how far apart the ports of two gateways, or of two workers, are.
const step = 10

// Patience with a process that is to stop: a gateway's grace period, and a little.
const stopPatience = 15 * time.Second

// Fleet is a site at work.
type Fleet struct {
	Gateways []*Process
	Workers  []*Process
	Shop     *Process
	URLs     []string // of the gateways
	Password string   // of the demo users

	cfg Config
}

// Start fills the shop with the demo, starts everything and waits until all of it is
// ready. After an error nothing runs.
func Start(ctx context.Context, cfg Config) (_ *Fleet, err error) {
	f, err := plan(cfg)
	if err != nil {
		return nil, err
	}
	if f.Password, err = f.seed(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Stop())
		}
	}()
	for _, p := range f.processes() {
		if err := p.Launch(); err != nil {
			return nil, err
		}
	}
	for _, p := range f.processes() {
		if err := p.WaitReady(ctx); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// processes are in the order of their start.
func (f *Fleet) processes() []*Process {
	return append(append(append([]*Process{}, f.Workers...), f.Shop), f.Gateways...)
}

// Stop stops everything, upstream first: gateways let their requests finish, then
// workers empty their hands, then the shop goes.
func (f *Fleet) Stop() error {
	var errs []error
	for _, group := range [][]*Process{f.Gateways, f.Workers, {f.Shop}} {
		done := make(chan error, len(group))
		for _, p := range group {
			go func() { done <- p.Stop(stopPatience) }()
		}
		for range group {
			errs = append(errs, <-done)
		}
	}
	return errors.Join(errs...)
}

// Failed gives the name and the last words of the first process that ends by itself.
// It is closed without a value when ctx ends.
func (f *Fleet) Failed(ctx context.Context) <-chan error {
	out := make(chan error, 1)
	ps := f.processes()
	for _, p := range ps {
		exited := p.Exited()
		go func() {
			select {
			case <-ctx.Done():
			case <-exited:
				select {
				case out <- fmt.Errorf("%s has ended:\n%s", p.Name, p.Tail()):
				default:
				}
			}
		}()
	}
	return out
}

func plan(cfg Config) (*Fleet, error) {
	or := func(v *string, otherwise string) {
		if *v == "" {
			*v = otherwise
		}
	}
	or(&cfg.GatewayAddr, DefaultGatewayAddr)
	or(&cfg.AdminAddr, DefaultAdminAddr)
	or(&cfg.ShopAddr, DefaultShopAddr)
	or(&cfg.WorkerAddr, DefaultWorkerAddr)
	or(&cfg.Root, ".")
	or(&cfg.Data, "./data")
	if cfg.Gateways < 1 || cfg.Workers < 1 || cfg.Gateways > 50 || cfg.Workers > 50 {
		return nil, fmt.Errorf("%d gateways and %d workers: there must be 1 to 50 of each", cfg.Gateways, cfg.Workers)
	}
	for name, v := range map[string]string{"REDIS_URL": cfg.RedisURL, "AMQP_URL": cfg.AMQPURL, "MYSQL_DSN": cfg.MySQLDSN, "FLASHGATE_KEYS": cfg.Keys} {
		if v == "" {
			return nil, fmt.Errorf("%s is not set", name)
		}
	}
	f := &Fleet{cfg: cfg}
	shop, err := nth(cfg.ShopAddr, 0)
	if err != nil {
		return nil, err
	}
	f.Shop = f.process("shop", "shopapp", nil, shop, "SHOP_ADDR="+shop)
	for i := range cfg.Workers {
		addr, err := nth(cfg.WorkerAddr, i)
		if err != nil {
			return nil, err
		}
		worker := f.process(fmt.Sprint("worker ", i+1), "orderworker", []string{"run"}, addr, "WORKER_ADDR="+addr)
		worker.Metrics = url(addr) + "/metrics"
		f.Workers = append(f.Workers, worker)
	}
	for i := range cfg.Gateways {
		addr, err := nth(cfg.GatewayAddr, i)
		if err != nil {
			return nil, err
		}
		admin, err := nth(cfg.AdminAddr, i)
		if err != nil {
			return nil, err
		}
		gateway := f.process(fmt.Sprint("gateway ", i+1), "flashgate-demo",
			[]string{"caddy", "run", "--config", "Caddyfile.real"}, addr,
			"FLASHGATE_ADDR="+addr, "FLASHGATE_ADMIN="+admin, "SHOP_ADDR="+shop)
		gateway.Metrics = url(admin) + "/metrics"
		gateway.Env = slices.DeleteFunc(gateway.Env, func(e string) bool { return strings.HasPrefix(e, "MYSQL_DSN=") })
		f.Gateways = append(f.Gateways, gateway)
		f.URLs = append(f.URLs, url(addr))
	}
	return f, nil
}

// url is where this machine reaches an address.
func url(addr string) string {
	if strings.HasPrefix(addr, ":") {
		addr = "localhost" + addr
	}
	return "http://" + addr
}

// nth is the address of the i-th process of a kind.
func nth(addr string, i int) (string, error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("address %q: %w", addr, err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return "", fmt.Errorf("address %q: the port must be a number", addr)
	}
	if port == 0 {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return "", err
		}
		defer l.Close()
		return l.Addr().String(), nil
	}
	return net.JoinHostPort(host, strconv.Itoa(port+i*step)), nil
}

func (f *Fleet) process(name, program string, args []string, addr string, env ...string) *Process {
	if f.cfg.EnvOf != nil {
		env = append(env, f.cfg.EnvOf(name)...)
	}
	return &Process{
		Name: name, Program: filepath.Join(f.cfg.Bin, program), Args: args, Dir: f.cfg.Root,
		Env: f.env(env...), Ready: url(addr) + "/readyz", Output: f.cfg.Output,
	}
}

func (f *Fleet) env(more ...string) []string {
	env := append([]string{
		"REDIS_URL=" + f.cfg.RedisURL, "AMQP_URL=" + f.cfg.AMQPURL, "MYSQL_DSN=" + f.cfg.MySQLDSN,
		"FLASHGATE_KEYS=" + f.cfg.Keys, "FLASHGATE_LOADTEST_KEY=" + f.cfg.LoadtestKey, "FLASHGATE_DATA=" + f.cfg.Data,
		// Caddy keeps its own files there; a fleet's stay with its data.
		"HOME=" + f.cfg.Data,
	}, f.cfg.Env...)
	return append(env, more...)
}

// seed runs `shopapp seed`, which prints the password.
func (f *Fleet) seed(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(f.cfg.Bin, "shopapp"), "seed")
	cmd.Env, cmd.Dir = f.env(), f.cfg.Root
	out, err := cmd.Output()
	if err != nil {
		var stderr string
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			stderr = string(e.Stderr)
		}
		return "", fmt.Errorf("the shop cannot be seeded: %w\n%s", err, stderr)
	}
	_, password, ok := strings.Cut(strings.TrimSpace(string(out)), "password: ")
	if !ok {
		return "", fmt.Errorf("the shop's seeding printed %q and no password", out)
	}
	return password, nil
}
