package command

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"flashgate"
	"flashgate/internal/mysql"
	"flashgate/internal/rabbitmq"
	"flashgate/internal/redis"
	"flashgate/orderworker/worker"
)

// realBackends are the servers.
type realBackends struct {
	database  *mysql.Store
	gate      *redis.Store
	publisher *rabbitmq.Publisher
}

// openReal dials nobody but the database, whose schema it brings up to date.
func (c *cli) openReal(ctx context.Context, use use) (_ *backends, err error) {
	bound, err := c.bound()
	if err != nil {
		return nil, err
	}
	b := &backends{real: &realBackends{}}
	defer func() {
		if err != nil {
			// What is open has nothing to lose.
			_ = b.close()
		}
	}()
	r := b.real
	if r.database, err = mysql.Open(mysql.Config{DSN: c.Getenv("MYSQL_DSN")}); err != nil {
		return nil, named("MYSQL_DSN", err)
	}
	b.closes = append(b.closes, r.database.Close)
	if r.gate, err = redis.Open(redis.Config{URL: c.Getenv("REDIS_URL")}); err != nil {
		return nil, named("REDIS_URL", err)
	}
	b.closes = append(b.closes, r.gate.Close)
	if r.publisher, err = rabbitmq.OpenPublisher(rabbitmq.Config{URL: c.Getenv("AMQP_URL"), Logger: c.logger()}); err != nil {
		return nil, named("AMQP_URL", err)
	}
	b.closes = append(b.closes, r.publisher.Close)
	b.Ledger, b.SaleStore, b.OrderStore, b.Stock, b.letters = r.database, r.database, r.database, r.gate, r.database
	b.worker = worker.Config{Ledger: r.database, Gate: &worker.GateConfig{
		Stock: r.gate, Log: r.database, Fences: r.database, Sales: r.database, Orders: r.database, Reconciliation: r.database,
		Publisher: r.publisher, Events: r.database, Bound: bound,
	}}
	if use == useQueue {
		consumer, err := rabbitmq.OpenConsumer(rabbitmq.Config{URL: c.Getenv("AMQP_URL"), Logger: c.logger()})
		if err != nil {
			return nil, err
		}
		b.closes = append(b.closes, consumer.Close)
		b.worker.Consumer = consumer
	}
	return b, nil
}

// named says which setting is wrong.
func named(setting string, err error) error {
	if e, ok := errors.AsType[*flashgate.Error](err); ok && e.Code == flashgate.CodeInvalid {
		return flashgate.Invalid("command.open", setting, "%s", e.Message)
	}
	return err
}

// migrate brings the database's schema up to date; embedded files do that by
// themselves. A database that is away is waited for, as it is later on: servers that
// are started together come up in any order.
func (b *backends) migrate(ctx context.Context, log *zap.Logger) error {
	if b.real == nil {
		return nil
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		err := b.real.database.Migrate(ctx)
		if flashgate.ErrorCode(err) != flashgate.CodeUnavailable {
			return err
		}
		log.Warn("the database is away, trying again", zap.Error(err))
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
