package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"flashgate/internal/fleet"
	"flashgate/internal/servers"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/go-sql-driver/mysql"
	"github.com/rs/zerolog"
)

// links are proxies, one between each process and each server that it talks to, so
// that every one of these connections can be slow, cut, silent or in pieces by itself.
type links struct {
	api *toxiproxy.ApiServer
	all []*link
}

// link is one of them.
type link struct {
	process, server string
	proxy           *toxiproxy.Proxy
}

func (l *link) name() string { return l.process + " to " + l.server }

// The servers as links name them.
const (
	toRedis    = "Redis"
	toRabbitMQ = "RabbitMQ"
	toMariaDB  = "MariaDB"
	toShop     = "shop"
)

func newLinks(t *testing.T) *links {
	t.Helper()
	ls := &links{api: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())}
	t.Cleanup(func() { must(t, ls.api.Collection.Clear()) })
	return ls
}

// add puts a proxy in front of upstream and returns its address.
func (ls *links) add(process, server, upstream string) (string, error) {
	port, err := servers.FreePort()
	if err != nil {
		return "", err
	}
	l := &link{process: process, server: server}
	l.proxy = toxiproxy.NewProxy(ls.api, l.name(), fmt.Sprint("127.0.0.1:", port), upstream)
	if err := ls.api.Collection.Add(l.proxy, true); err != nil {
		return "", err
	}
	ls.all = append(ls.all, l)
	return l.proxy.Listen, nil
}

// of are the links of some processes to a server, by the beginning of their names.
func (ls *links) of(process, server string) (out []*link) {
	for _, l := range ls.all {
		if strings.HasPrefix(l.process, process) && l.server == server {
			out = append(out, l)
		}
	}
	return out
}

// turn sends every link to a server elsewhere from now on, and cuts what is open.
func (ls *links) turn(server, upstream string) error {
	var errs []error
	for _, l := range ls.all {
		if l.server == server {
			errs = append(errs, l.proxy.Update(&toxiproxy.Proxy{Listen: l.proxy.Listen, Upstream: upstream, Enabled: true}))
		}
	}
	return errors.Join(errs...)
}

// direction of what a toxic does.
const (
	fromServer = stream.Downstream
	toServer   = stream.Upstream
)

var poisons atomic.Int64

// poison lets a toxic work on a link until the returned function is called. Kinds and
// attributes: https://github.com/Shopify/toxiproxy#toxics.
func (l *link) poison(kind string, direction stream.Direction, attributes map[string]int) (func() error, error) {
	name := fmt.Sprint(kind, " ", poisons.Add(1)) // two of a kind may meet on one link
	spec, err := json.Marshal(map[string]any{"name": name, "type": kind, "stream": direction.String(), "attributes": attributes})
	if err != nil {
		return nil, err
	}
	if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(string(spec))); err != nil {
		return nil, err
	}
	return func() error { return l.proxy.Toxics.RemoveToxic(context.Background(), name) }, nil
}

// cut closes every connection of the link at once: that is what the end of this toxic
// does.
func (l *link) cut() error {
	mend, err := l.poison("timeout", fromServer, nil)
	if err != nil {
		return err
	}
	return mend()
}

// envOf gives each process its own way to each server, and its folder of failpoints.
func (s *site) envOf(t *testing.T, shop string) func(process string) []string {
	link := func(process, server, upstream string) string {
		addr, err := s.links.add(process, server, upstream)
		must(t, err)
		return addr
	}
	return func(process string) []string {
		env := []string{
			"REDIS_URL=redis://" + link(process, toRedis, s.redis.Addr()) + "/0",
			pointsOf(t, s.points, process),
		}
		if strings.HasPrefix(process, "gateway") {
			env = append(env, "SHOP_ADDR="+link(process, toShop, shop))
		} else {
			dsn, err := mysql.ParseDSN(s.maria.DSN(database))
			must(t, err)
			dsn.Net, dsn.Addr = "tcp", link(process, toMariaDB, dsn.Addr)
			env = append(env, "MYSQL_DSN="+dsn.FormatDSN())
		}
		if process != "shop" {
			env = append(env, "AMQP_URL=amqp://guest:guest@"+link(process, toRabbitMQ, s.rabbit.Addr())+"/")
		}
		return env
	}
}

// startBreakable starts a site whose processes have failpoints and whose links can be
// broken.
func startBreakable(t *testing.T, env ...string) *site {
	t.Helper()
	s := newSite(t)
	s.links, s.points = newLinks(t), t.TempDir()
	own, err := s.links.add("test", toRedis, s.redis.Addr())
	must(t, err)
	s.redisURL = "redis://" + own + "/0"
	shop := freeAddr(t, false)
	s.start(t, fleet.Config{Bin: withFailpoints(t), Env: env, EnvOf: s.envOf(t, shop), ShopAddr: shop})
	return s
}

// processes are all of the site's.
func (s *site) processes() []*fleet.Process {
	return slices.Concat([]*fleet.Process{s.Shop}, s.Gateways, s.Workers)
}
