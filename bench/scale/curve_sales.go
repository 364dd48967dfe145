package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"flashgate"
	"flashgate/internal/gate"
	"flashgate/internal/rabbitmq"
	"flashgate/internal/servers"
)

// callers wait at the gate at the same time.
const callers = 256

// backend is what a gateway's app is to the gate, without its circuits.
type backend struct {
	stock     flashgate.Stock
	publisher flashgate.Publisher
}

func (b backend) Stock() (flashgate.Stock, error)         { return b.stock, nil }
func (b backend) Publisher() (flashgate.Publisher, error) { return b.publisher, nil }
func (backend) Away() error                               { return nil }
func (backend) Ready(context.Context) error               { return nil }

// measureSales spreads callers over one sale or over many, all at one gate: such as have
// bought, whom Redis refuses, and new ones, whose orders are reserved and published.
func measureSales(ctx context.Context, s settings, c *curveResult) (err error) {
	k, err := openStock("everysec")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.close()) }()
	broker, err := servers.StartRabbitMQ(servers.RabbitMQConfig{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	publisher, err := rabbitmq.OpenPublisher(rabbitmq.Config{URL: broker.URL()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, publisher.Close()) }()
	counts := s.upTo(100, 1, 10, 100, 1000)
	sales := make([]flashgate.SaleID, counts[len(counts)-1])
	for i := range sales {
		sales[i] = flashgate.SaleID(fmt.Sprint("sale", i))
		if err := k.open(ctx, sales[i], flashgate.MaxStock, callers); err != nil {
			return err
		}
	}
	speed := c.figure("sales-speed", "256 callers at one gate, spread over sales", "sales at once", "reservations/s")
	size := c.figure("sales-batch", "How many reservations travel together", "sales at once", "reservations of a batch")
	newUser := func() flashgate.UserID { return newcomers(int(newest.Add(1)), 1)[0] }
	oldUser := func() flashgate.UserID { return userOf(rand.IntN(callers)) }
	for range s.Rounds {
		for _, n := range counts {
			for _, kind := range []saleKind{
				{"has bought", flashgate.OutcomeAlreadyBought, oldUser},
				{"new", flashgate.OutcomeAccepted, newUser},
			} {
				if err := c.calm(ctx); err != nil {
					return err
				}
				rate, batch, err := k.crowd(ctx, backend{k.store, publisher}, sales[:n], kind, s.slice())
				if err != nil {
					return fmt.Errorf("%d sales, %s: %w", n, kind.name, err)
				}
				speed.add(kind.name, n, rate)
				size.add(kind.name, n, batch)
			}
		}
	}
	return nil
}

// newest counts the users who are new.
var newest atomic.Int64

type saleKind struct {
	name string
	want flashgate.Outcome
	user func() flashgate.UserID
}

// crowd lets the callers reserve for some time, and returns how many reservations were
// decided in a second and how many travelled together.
func (k *stock) crowd(ctx context.Context, b backend, sales []flashgate.SaleID, kind saleKind, d time.Duration) (rate, batch float64, err error) {
	var batches, decided atomic.Int64
	g := gate.New(gate.Config{Backend: b, OnBatch: func(int) { batches.Add(1) }})
	failed := make(chan error, callers)
	begin := time.Now()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for time.Since(begin) < d {
				got, err := g.Reserve(ctx, k.reservation(sales[rand.IntN(len(sales))], kind.user()))
				if err == nil && got.Outcome != kind.want {
					err = fmt.Errorf("outcome %d, want %d", got.Outcome, kind.want)
				}
				if err != nil {
					failed <- err
					return
				}
				decided.Add(1)
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	select {
	case err := <-failed:
		return 0, 0, err
	default:
		return float64(decided.Load()) / took.Seconds(), float64(decided.Load()) / float64(batches.Load()), nil
	}
}
