package main_test

import (
	"syscall"
	"testing"
	"time"

	"flashgate/internal/fleet"
)

// kill is kill -9 of one process; it is started again a little later.
func (c *campaign) kill(p *fleet.Process) func(*testing.T) {
	return func(t *testing.T) {
		must(t, p.Kill())
		c.count.killed(p.Name)
		c.wait(t, time.Second)
		must(t, p.Launch())
	}
}

// freeze holds a process for as long as longest.
func (c *campaign) freeze(p *fleet.Process, longest time.Duration) func(*testing.T) {
	return func(t *testing.T) {
		must(t, p.Signal(syscall.SIGSTOP))
		c.wait(t, longest)
		must(t, p.Signal(syscall.SIGCONT))
	}
}

// server is what Redis, RabbitMQ and MariaDB have in common.
type server interface {
	Start() error
	Stop() error
	Kill() error
	Pause() error
	Resume() error
}

func (c *campaign) killServer(name string, s server) func(*testing.T) {
	return func(t *testing.T) {
		must(t, s.Kill())
		c.count.killed(name)
		c.wait(t, time.Second)
		must(t, s.Start())
	}
}

func (c *campaign) stopServer(s server) func(*testing.T) {
	return func(t *testing.T) {
		must(t, s.Stop())
		c.wait(t, time.Second)
		must(t, s.Start())
	}
}

func (c *campaign) freezeServer(s server, longest time.Duration) func(*testing.T) {
	return func(t *testing.T) {
		must(t, s.Pause())
		c.wait(t, longest)
		must(t, s.Resume())
	}
}

// processFaults are kills and freezes at random times.
func (c *campaign) processFaults() []misfortune {
	out := []misfortune{
		{"RabbitMQ killed", 4, c.killServer(toRabbitMQ, c.rabbit)},
		{"Redis killed", 3, c.killServer(toRedis, c.redis)},
		{"MariaDB killed", 3, c.killServer(toMariaDB, c.maria)},
		{"RabbitMQ stopped", 1, c.stopServer(c.rabbit)},
		{"Redis frozen", 1, c.freezeServer(c.redis, 4*time.Second)},
		{"RabbitMQ frozen", 1, c.freezeServer(c.rabbit, 4*time.Second)},
		{"MariaDB frozen", 1, c.freezeServer(c.maria, 4*time.Second)},
		{"shop killed", 3, c.kill(c.Shop)},
		{"shop frozen", 1, c.freeze(c.Shop, 3*time.Second)},
	}
	for _, p := range c.Gateways {
		out = append(out, misfortune{p.Name + " killed", 3, c.kill(p)}, misfortune{p.Name + " frozen", 1, c.freeze(p, 4*time.Second)})
	}
	for _, p := range c.Workers {
		out = append(out, misfortune{p.Name + " killed", 3, c.kill(p)}, misfortune{p.Name + " frozen", 1, c.freeze(p, 6*time.Second)})
	}
	return out
}
