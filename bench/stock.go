package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"flashgate"
	"flashgate/bench/naive"
	"flashgate/bench/wrk"
	"flashgate/internal/redis"
	"flashgate/internal/sqlite"

	goredis "github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// stock is where a row's sales are. Every sample has a sale of its own, so that nothing
// is left of the sample before.
type stock interface {
	// login writes the sessions of the buyers.
	login(ctx context.Context, all []buyer) error
	// open opens the sale of the orders.
	open(ctx context.Context, sale flashgate.Sale, o *orders) error
	// sold is how many units are held or sold.
	sold(ctx context.Context, sale flashgate.SaleID) (int64, error)
	close() error
}

// stockKind says which stock a row has.
type stockKind string

const (
	noStock     stockKind = ""
	redisStock  stockKind = "redis"
	sqliteStock stockKind = "sqlite"
	naiveStock  stockKind = "naive"  // that of the package naive
	placedStock stockKind = "placed" // Redis, and the orders in the database
	naivePlaced stockKind = "naive placed"
)

// plenty is more than a sample can sell.
const plenty = 100_000_000

// saleOf is the sale of a sample, as the row wants it.
func saleOf(id flashgate.SaleID, phase salePhase) flashgate.Sale {
	now := time.Now().Truncate(time.Millisecond)
	sale := flashgate.Sale{
		ID: id, Goods: "goods", FlashPrice: 100, Starts: now.Add(-time.Hour), Ends: now.Add(2 * time.Hour),
		PerUser: perUser, Seeded: plenty, Epoch: 1,
	}
	switch phase {
	case soldOutSale:
		sale.Seeded = 0
	case endedSale:
		sale.Ends = now.Add(-time.Minute)
	case upcomingSale:
		sale.Starts = now.Add(time.Hour)
	}
	sale.StockLeft = sale.Seeded
	return sale
}

// salePhase is what a row's sales are like.
type salePhase string

const (
	openSale     salePhase = ""
	soldOutSale  salePhase = "sold out"
	endedSale    salePhase = "ended"
	upcomingSale salePhase = "upcoming"
)

// writers is how many sessions are written at once.
const writers = 64

func login(ctx context.Context, store flashgate.SessionStore, all []buyer) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for i := range all {
		group.Go(func() error { return store.CreateSession(ctx, all[i].session) })
	}
	return group.Wait()
}

// gateStock is the gate's own.
type gateStock struct{ store *redis.Store }

func (r gateStock) login(ctx context.Context, all []buyer) error { return login(ctx, r.store, all) }
func (r gateStock) close() error                                 { return r.store.Close() }

func (r gateStock) open(ctx context.Context, sale flashgate.Sale, _ *orders) error {
	incarnation, err := r.store.Incarnation(ctx, sale.ID)
	if err != nil {
		return err
	}
	_, err = r.store.Open(ctx, incarnation, flashgate.Snapshot{Sale: sale, Bound: flashgate.MaxStock})
	return err
}

func (r gateStock) sold(ctx context.Context, sale flashgate.SaleID) (int64, error) {
	view, err := r.store.View(ctx, sale)
	return view.Held, err
}

// embeddedStock is the embedded one: what is held waits in the queue in the same file.
type embeddedStock struct{ *sqlite.Store }

func (s embeddedStock) login(ctx context.Context, all []buyer) error { return login(ctx, s.Store, all) }
func (s embeddedStock) close() error                                 { return s.Close() }

func (s embeddedStock) open(ctx context.Context, sale flashgate.Sale, _ *orders) error {
	return s.CreateSale(ctx, sale)
}

func (s embeddedStock) sold(ctx context.Context, sale flashgate.SaleID) (int64, error) {
	view, err := s.View(ctx, sale)
	return plenty - view.Free, err
}

// naiveKeys is a few keys.
type naiveKeys struct{ client *goredis.Client }

func (n naiveKeys) close() error { return n.client.Close() }

func (n naiveKeys) login(ctx context.Context, all []buyer) error {
	return n.set(ctx, len(all), func(i int) (key, value string) { return naive.SessionKey(all[i].cookie), string(all[i].user) })
}

// set writes many keys.
func (n naiveKeys) set(ctx context.Context, count int, pair func(int) (key, value string)) error {
	const most = 5000
	for begin := 0; begin < count; begin += most {
		_, err := n.client.Pipelined(ctx, func(p goredis.Pipeliner) error {
			for i := begin; i < min(begin+most, count); i++ {
				key, value := pair(i)
				p.Set(ctx, key, value, 2*time.Hour)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (n naiveKeys) open(ctx context.Context, sale flashgate.Sale, o *orders) error {
	if err := naive.Reserve.Load(ctx, n.client).Err(); err != nil {
		return err
	}
	err := n.client.HSet(ctx, naive.SaleKeys(string(sale.ID))[0],
		"free", sale.Seeded, "starts", sale.Starts.Unix(), "ends", sale.Ends.Unix(), "limit", sale.PerUser).Err()
	if err != nil {
		return err
	}
	return n.set(ctx, len(o.list), func(i int) (key, value string) {
		return naive.PathKey(o.list[i].token), string(o.list[i].buyer.user)
	})
}

func (n naiveKeys) sold(ctx context.Context, sale flashgate.SaleID) (int64, error) {
	text, err := n.client.HGet(ctx, naive.SaleKeys(string(sale))[0], "free").Result()
	if err != nil {
		return 0, err
	}
	free, err := strconv.ParseInt(text, 10, 64)
	return plenty - free, err
}

// newStock opens the stock of a row.
func (s *server) newStock(dir string) (stock, error) {
	switch s.row.stock {
	case redisStock, placedStock:
		store, err := redis.Open(redis.Config{URL: s.redis.URL(), SessionCache: -1, Timeout: 10 * time.Second})
		if err != nil {
			return nil, err
		}
		if s.row.stock == placedStock {
			return newPlaced(gateStock{store}, s)
		}
		return gateStock{store}, nil
	case sqliteStock:
		store, err := sqlite.Open(filepath.Join(dir, "data", "flashgate.db"))
		return embeddedStock{store}, err
	case naiveStock:
		return naiveKeys{s.redis.Client()}, nil
	case naivePlaced:
		return newNaivePlaced(naiveKeys{s.redis.Client()}, s)
	}
	return nil, errors.New("a row that sells needs a stock")
}

// prepare opens the sale of a sample.
func (s *server) prepare(ctx context.Context, o *orders) error {
	s.orders = o
	if s.stock == nil {
		return nil
	}
	if err := s.stock.open(ctx, saleOf(o.sale, s.row.phase), o); err != nil {
		return fmt.Errorf("opening the sale: %w", err)
	}
	return nil
}

// checkSold compares what was answered with what was taken: each accepted order has
// taken one unit. Those of the last moment, whose answers wrk did not wait for, may have.
func (s *server) checkSold(ctx context.Context, l wrk.Load, connections int) error {
	if s.stock == nil || s.status() != 202 {
		return nil
	}
	sold, err := s.stock.sold(ctx, s.orders.sale)
	if err != nil {
		return err
	}
	least := l.Requests + int64(s.orders.probed)
	if sold < least || sold > least+int64(connections) {
		return fmt.Errorf("%d units are held or sold, and %d orders were accepted: some were sent twice, or not sold", sold, least)
	}
	return nil
}
