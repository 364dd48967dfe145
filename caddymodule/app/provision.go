package app

import (
	"errors"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// The pools hold what is open in this process, by module and the backend's own key,
// so that it outlives a configuration: the memory with its limits and captchas, the
// files, the connections.
var (
	stocks = caddy.NewUsagePool()
	queues = caddy.NewUsagePool()
	states = caddy.NewUsagePool()
)

// What is wrong with servers that do not go together.
var (
	errNoQueue = errors.New("redis without rabbitmq: what the stock in Redis reserves travels to the order worker through RabbitMQ; add the line rabbitmq {env.AMQP_URL}, or leave redis out for the embedded backends")
	errNoStock = errors.New("rabbitmq without redis: the embedded stock has a queue of its own; add the line redis {env.REDIS_URL}, or leave rabbitmq out")
	errNoKeys  = errors.New("redis without keys: every gateway must sign with the same keys; make one with: caddy flashgate sign key, set FLASHGATE_KEYS to it for every gateway, and add the line keys {env.FLASHGATE_KEYS}")
)

func (a *App) provisionBackends(ctx caddy.Context) error {
	if a.StockRaw == nil {
		a.StockRaw = caddyconfig.JSONModuleObject(new(SQLite), "backend", "sqlite", nil)
	}
	if a.StateRaw == nil {
		a.StateRaw = caddyconfig.JSONModuleObject(new(Memory), "backend", "memory", nil)
	}
	stock, err := loadModule[StockModule](ctx, a, "StockRaw")
	if err != nil {
		return err
	}
	a.stock = newShared(stocks, stock, stock.StockKey(a.dataDir), func() (StockBackend, error) { return stock.OpenStock(a.dataDir) })
	if err := a.fits(stock); err != nil {
		return err
	}
	if a.QueueRaw != nil {
		queue, err := loadModule[QueueModule](ctx, a, "QueueRaw")
		if err != nil {
			return err
		}
		a.queue = newShared(queues, queue, queue.QueueKey(a.dataDir), func() (QueueBackend, error) { return queue.OpenQueue(a.dataDir) })
	}
	state, err := loadModule[StateModule](ctx, a, "StateRaw")
	if err != nil {
		return err
	}
	if onRedis, ok := state.(*RedisState); ok {
		if with, ok := stock.(*Redis); ok {
			onRedis.join(with)
		}
	}
	a.state = newShared(states, state, state.StateKey(a.dataDir), state.OpenState)
	a.pages = newShared(pageses, state, state.StateKey(a.dataDir), func() (PagesBackend, error) {
		return state.OpenPages(a.PageMemory, pagesFailed)
	})
	// Held from here on: this is how the memory outlives the configuration before.
	if err := a.state.get(); err != nil {
		return err
	}
	pages, err := a.pages.enter()
	if err != nil {
		return err
	}
	defer a.pages.leave()
	a.pageCache = Pages{pages, a.pages.key}
	return nil
}

// fits checks what the stock needs beside it.
func (a *App) fits(stock StockModule) error {
	_, onRedis := stock.(*Redis)
	_, embedded := stock.(*SQLite)
	switch {
	case onRedis && a.QueueRaw == nil:
		return errNoQueue
	case onRedis && a.keys.Load() == nil:
		return errNoKeys
	case embedded && a.QueueRaw != nil:
		return errNoStock
	default:
		return nil
	}
}

func loadModule[M any](ctx caddy.Context, a *App, field string) (M, error) {
	m, err := ctx.LoadModule(a, field)
	if err != nil {
		var none M
		return none, err
	}
	return m.(M), nil
}

func newShared[T caddy.Destructor](pool *caddy.UsagePool, m caddy.Module, key string, open func() (T, error)) *shared[T] {
	id := m.CaddyModule().String()
	return &shared[T]{pool: pool, module: id, key: id + " " + key, open: open}
}
