package main_test

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/deploy/chaos"
	"flashgate/deploy/contract"
	"flashgate/internal/fleet"
	"flashgate/internal/mysql"
	"flashgate/internal/redis"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
	"flashgate/shopapp/shop"
)

// bin is the folder of the programs, built once for all tests.
var bin string

func TestMain(m *testing.M) {
	chaos.KeepIfAsked()
	dir, err := os.MkdirTemp("", "flashgate-real")
	if err != nil {
		panic(err)
	}
	bin = dir
	code := 1
	if err := build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = serverstest.Closing(m).Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// build builds the programs as the tests are built.
func build(dir string, flags ...string) error {
	for program, pkg := range map[string]string{
		"flashgate-demo": "flashgate/deploy/demo", "flashgate-real": "flashgate/deploy/real",
		"shopapp": "flashgate/shopapp", "orderworker": "flashgate/orderworker",
	} {
		args := append([]string{"build", "-o", filepath.Join(dir, program)}, flags...)
		if raceEnabled {
			args = append(args, "-race")
		}
		if out, err := exec.Command("go", append(args, pkg)...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s%w", out, err)
		}
	}
	return nil
}

const loadtestKey = "only-for-tests"

// site is two gateways, two workers and a shop on servers of their own. The tests of
// this package break its parts one after the other, so they do not run in parallel.
type site struct {
	*fleet.Fleet
	redis  *servers.Redis
	rabbit *servers.RabbitMQ
	maria  *servers.MariaDB

	database *mysql.Store
	gate     *redis.Store
	service  *shop.Service
	keys     *flashgate.Keyring

	redisURL string // of the Redis that the site uses, for the test's own access
	links    *links // between processes and servers; nil: they are connected directly
	points   string // the folder of the failpoints; empty: built without
}

const database = "flashgate"

// startSite starts servers and processes for one test, with further settings.
func startSite(t *testing.T, env ...string) *site {
	t.Helper()
	s := newSite(t)
	s.start(t, fleet.Config{Bin: bin, Env: env})
	return s
}

// newSite starts the servers.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{redis: serverstest.OwnRedis(t, servers.RedisConfig{}), rabbit: serverstest.OwnRabbitMQ(t), maria: serverstest.OwnMariaDB(t)}
	s.redisURL = s.redis.URL()
	return s
}

// start starts the processes; cfg says what is not the same for every test.
func (s *site) start(t *testing.T, cfg fleet.Config) {
	t.Helper()
	if err := s.maria.CreateDatabase(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	key := flashgate.NewKey()
	var err error
	if s.keys, err = flashgate.ParseKeyring(key); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Gateways, cfg.Workers, cfg.Root, cfg.Data = 2, 2, root, t.TempDir()
	cfg.Keys, cfg.LoadtestKey = key, loadtestKey
	cfg.RedisURL, cfg.AMQPURL, cfg.MySQLDSN = s.redisURL, s.rabbit.URL(), s.maria.DSN(database)
	cfg.GatewayAddr, cfg.AdminAddr, cfg.WorkerAddr = freeAddr(t, true), freeAddr(t, true), freeAddr(t, true)
	cfg.ShopAddr = cmp.Or(cfg.ShopAddr, freeAddr(t, false))
	if s.Fleet, err = fleet.Start(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			for _, p := range append(append([]*fleet.Process{s.Shop}, s.Gateways...), s.Workers...) {
				t.Logf("%s:\n%s", p.Name, p.Tail())
			}
		}
	})
	s.open(t)
}

// freeAddr is an address for a process that will be killed and must get it again; two
// says that the one ten ports higher is for a second process.
func freeAddr(t *testing.T, two bool) string {
	t.Helper()
	for {
		port, err := servers.FreePort()
		must(t, err)
		if !two || servers.TakePort(port+10) {
			return fmt.Sprint("127.0.0.1:", port)
		}
	}
}

// open opens the test's own access, to make crowds with.
func (s *site) open(t *testing.T) {
	t.Helper()
	var err error
	if s.database, err = mysql.Open(mysql.Config{DSN: s.maria.DSN(database)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.database.Close() })
	if s.gate, err = redis.Open(redis.Config{URL: s.redisURL}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.gate.Close() })
	s.service, err = shop.New(shop.Config{
		Users: s.database, Sessions: s.gate, Goods: s.database, Sales: s.database, Orders: s.database, Stock: s.gate, Limiter: s.gate, Keys: s.keys,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// newSale makes a sale that is open for an hour and waits until its gate is.
func (s *site) newSale(t *testing.T, id flashgate.SaleID, units int64) flashgate.SaleID {
	t.Helper()
	now := time.Now()
	err := s.database.CreateSale(t.Context(), flashgate.Sale{
		ID: id, Goods: "1", FlashPrice: 990, PerUser: 1, Seeded: units, Starts: now.Add(-time.Minute), Ends: now.Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the gate opens", func() bool {
		v, err := s.gate.View(t.Context(), id)
		return err == nil && v.Open
	})
	return id
}

// buyer is a visitor with a path in hand.
type buyer struct {
	clients [2]*contract.Client // one for each gateway, with the same session
	sale    flashgate.SaleID
	minted  contract.Minted

	site   *site
	member shop.Member
}

// crowd makes n visitors with sessions and paths. The paths are minted here, with
// the site's own key: the captchas before them are another test's business.
func (s *site) crowd(t *testing.T, sale flashgate.SaleID, n int) []*buyer {
	t.Helper()
	members, err := s.service.CreateCrowd(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]*buyer, n)
	for i, m := range members {
		if out[i], err = s.buyerOf(sale, m); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// newBuyer makes one visitor.
func (s *site) newBuyer(ctx context.Context, sale flashgate.SaleID) (*buyer, error) {
	members, err := s.service.CreateCrowd(ctx, 1)
	if err != nil {
		return nil, err
	}
	return s.buyerOf(sale, members[0])
}

func (s *site) buyerOf(sale flashgate.SaleID, m shop.Member) (*buyer, error) {
	b := &buyer{sale: sale, site: s, member: m}
	for k, u := range s.URLs {
		b.clients[k] = contract.NewClient(u, loadtestKey, nil)
	}
	b.mint()
	return b, b.carry(m.Token)
}

// mint gives the buyer a new path and order id.
func (b *buyer) mint() {
	claim := flashgate.Claim{Sale: string(b.sale), Session: string(b.member.Token.Key()), User: string(b.member.User)}
	path, order := b.site.keys.Mint(claim, time.Now().Add(time.Minute))
	b.minted = contract.Minted{Path: path, Order: order}
}

// carry puts the session into both cookie jars.
func (b *buyer) carry(token flashgate.SessionToken) error {
	b.member.Token = token
	for k, u := range b.site.URLs {
		at, err := url.Parse(u)
		if err != nil {
			return err
		}
		b.clients[k].HTTP.Jar.SetCookies(at, sessionCookie(token))
	}
	return nil
}

// login logs the buyer in again, as people do whose session was lost. It goes by the
// store, because so many logins from one address are more than the shop allows.
func (b *buyer) login(ctx context.Context) error {
	token := flashgate.NewSessionToken()
	err := b.site.gate.CreateSession(ctx, flashgate.Session{
		Key: token.Key(), User: b.member.User, Role: flashgate.RoleCustomer, Created: time.Now(), Expires: time.Now().Add(time.Hour), Idle: time.Hour,
	})
	if err != nil {
		return err
	}
	return b.carry(token)
}

// patience is how long a test waits for what must happen in the end.
const patience = 2 * time.Minute

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("it never happened: %s", what)
		}
	}
}

// each runs work for all buyers, so many at a time.
func each(buyers []*buyer, atOnce int, work func(int, *buyer)) {
	turns := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, b := range buyers {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			work(i, b)
		})
	}
	wg.Wait()
}

// pause waits a little, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
