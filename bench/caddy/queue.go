package main

import (
	"context"

	"flashgate"
	"flashgate/caddymodule/app"

	"github.com/caddyserver/caddy/v2"
)

func init() {
	caddy.RegisterModule(noQueue{})
}

// noQueue confirms at once what it throws away: rows that are about the stock alone
// have it, and sell nothing to anybody.
type noQueue struct{}

func (noQueue) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "flashgate.queue.bench_none", New: func() caddy.Module { return noQueue{} }}
}

func (noQueue) QueueKey(string) string                           { return "none" }
func (q noQueue) OpenQueue(string) (app.QueueBackend, error)     { return q, nil }
func (noQueue) Publish(context.Context, flashgate.Message) error { return nil }
func (noQueue) Check(context.Context) error                      { return nil }
func (noQueue) Destruct() error                                  { return nil }
