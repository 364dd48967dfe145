package redis_test

import (
	"context"
	"errors"
	"flag"
	"testing"

	"flashgate"
	"flashgate/internal/conformance/stockmachine"
	"flashgate/internal/mysql"
	"flashgate/internal/redis"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"

	goredis "github.com/redis/go-redis/v9"
)

// How many histories are drawn, and how long they are on average. The command line has
// the last word.
func init() {
	for name, value := range map[string]string{"rapid.checks": "50", "rapid.steps": "50"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
}

// machineServer is a Redis whose incarnation and data a test may change.
type machineServer struct {
	addr string
	raw  *goredis.Client
	kept map[string]string // a backup: what DUMP says, by key
}

func newMachineServer(t testing.TB) *machineServer {
	t.Helper()
	// It keeps everything in memory: it is never really restarted.
	server := serverstest.OwnRedis(t, servers.RedisConfig{Appendonly: "off"})
	raw := server.Client()
	t.Cleanup(func() { _ = raw.Close() })
	return &machineServer{addr: server.Addr(), raw: raw}
}

// Renew makes it the replica of nobody and then the primary again, which changes its
// incarnation as a fail-over there and back does, and forgets the scripts, as a restart
// does.
func (s *machineServer) Renew(ctx context.Context) error {
	return errors.Join(s.raw.ReplicaOf(ctx, "127.0.0.1", "1").Err(), s.raw.ReplicaOf(ctx, "NO", "ONE").Err(), s.raw.ScriptFlush(ctx).Err())
}

func (s *machineServer) Flush(ctx context.Context) error { return s.raw.FlushAll(ctx).Err() }

func saleParts(sale flashgate.SaleID) (keys []string) {
	for _, part := range []string{"head", "held", "outbox", "leased", "buyers", "opening"} {
		keys = append(keys, "flashgate:{"+string(sale)+"}:"+part)
	}
	return keys
}

// Backup and Rewind are what a file does that is older than the server's memory.
func (s *machineServer) Backup(ctx context.Context, sale flashgate.SaleID) error {
	s.kept = map[string]string{}
	for _, key := range saleParts(sale) {
		dump, err := s.raw.Dump(ctx, key).Result()
		switch {
		case err == nil:
			s.kept[key] = dump
		case !errors.Is(err, goredis.Nil):
			return err
		}
	}
	return nil
}

func (s *machineServer) Rewind(ctx context.Context, sale flashgate.SaleID) error {
	keys := saleParts(sale)
	p := s.raw.TxPipeline()
	p.Del(ctx, keys...)
	for _, key := range keys {
		if dump, ok := s.kept[key]; ok {
			p.Restore(ctx, key, 0, dump)
		}
	}
	_, err := p.Exec(ctx)
	return err
}

// machineDatabase is what the machine needs behind a gate on Redis.
type machineDatabase interface {
	stockmachine.Database
	flashgate.ChangeLog
	flashgate.Reconciliation
}

// machineSystem puts a new client of the server in front of a database.
func machineSystem(server *machineServer, db machineDatabase, broker *stockmachine.Broker) (stockmachine.System, error) {
	s, err := redis.Open(redis.Config{URL: "redis://" + server.addr, Timeout: patience})
	if err != nil {
		return stockmachine.System{}, err
	}
	return stockmachine.System{
		Stock: s, Database: db, Queue: broker,
		Apart: &stockmachine.Apart{Outbox: s, Applier: s, Opener: s, ChangeLog: db, Reconciliation: db, Faults: server},
		Close: s.Close,
		Reopen: func() (stockmachine.System, error) {
			if err := s.Close(); err != nil {
				return stockmachine.System{}, err
			}
			broker.Reconnect()
			return machineSystem(server, db, broker)
		},
	}, nil
}

// TestMachine: the gate on Redis behaves as a map does, whatever happens to it, its
// callers and their messages.
func TestMachine(t *testing.T) {
	t.Parallel()
	server := newMachineServer(t)
	stockmachine.Run(t, func() (stockmachine.System, error) {
		return machineSystem(server, stockmachine.NewTables(), &stockmachine.Broker{})
	})
}

// TestMachineOnMariaDB is the same with the real database behind the gate.
func TestMachineOnMariaDB(t *testing.T) {
	t.Parallel()
	server := newMachineServer(t)
	// Nothing here is about a database that dies, so it need not wait for its disk.
	mariadb, err := servers.StartMariaDB(servers.MariaDBConfig{Args: []string{"--innodb-flush-log-at-trx-commit=0"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := mariadb.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := mariadb.CreateDatabase(t.Context(), "machine"); err != nil {
		t.Fatal(err)
	}
	db, err := mysql.Open(mysql.Config{DSN: mariadb.DSN("machine")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	stockmachine.Run(t, func() (stockmachine.System, error) { return machineSystem(server, db, &stockmachine.Broker{}) })
}

// TestMachineCatchesPlantedBugs: a machine that finds nothing proves nothing.
func TestMachineCatchesPlantedBugs(t *testing.T) {
	t.Parallel()
	stockmachine.CatchesPlantedBugs(t, "TestMachine", true)
}
