package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// SentinelName is the name under which the sentinels know the primary.
const SentinelName = "mymaster"

// SentinelConfig is how to start a Sentinel trio. The zero value is useful.
type SentinelConfig struct {
	// DownAfter is how long a primary may be silent before a sentinel takes it for
	// dead. Default 2 s: a busy machine must not look like a dead server.
	DownAfter time.Duration
	// Redis is the configuration of the three data servers. Dir, Port, Password, TLS
	// and Detach must be zero.
	Redis RedisConfig
}

// Sentinel is one primary with two replicas, watched by three sentinels of which two
// must agree.
type Sentinel struct {
	nodes     []*Redis
	sentinels []*sentinelServer
}

// sentinelServer is a redis-server in Sentinel mode.
type sentinelServer struct {
	server
	port int
}

// StartSentinel starts the six servers and returns when all know each other and both
// replicas are in step.
func StartSentinel(cfg SentinelConfig) (*Sentinel, error) {
	if cfg.Redis.Dir != "" || cfg.Redis.Port != 0 || cfg.Redis.Password != "" || cfg.Redis.TLS || cfg.Redis.Detach {
		return nil, errors.New("servers: a Sentinel trio takes no Dir, Port, Password, TLS or Detach")
	}
	if cfg.DownAfter == 0 {
		cfg.DownAfter = 2 * time.Second
	}
	s := &Sentinel{}
	if err := s.start(cfg); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Sentinel) start(cfg SentinelConfig) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for i := range 3 {
		node := cfg.Redis
		node.Args = append([]string{"--repl-diskless-sync-delay", "0", "--replica-announce-ip", loopback}, node.Args...)
		if i > 0 {
			node.Args = append(node.Args, "--replicaof", loopback, strconv.Itoa(s.nodes[0].Port()))
		}
		r, err := StartRedis(node)
		if err != nil {
			return err
		}
		s.nodes = append(s.nodes, r)
	}
	if err := poll(ctx, "the replicas are not in step", s.inStep); err != nil {
		return err
	}
	for range 3 {
		one, err := startSentinelServer(s.nodes[0].Port(), cfg.DownAfter)
		if err != nil {
			return err
		}
		s.sentinels = append(s.sentinels, one)
	}
	return poll(ctx, "the sentinels do not know each other", s.settled)
}

func startSentinelServer(primary int, downAfter time.Duration) (*sentinelServer, error) {
	binary, err := lookUp("redis-server", "redis-server")
	if err != nil {
		return nil, err
	}
	folder, err := openFolder("", "sentinel")
	if err != nil {
		return nil, err
	}
	one := &sentinelServer{server: server{name: "sentinel", folder: folder}}
	conf := filepath.Join(folder.path, "sentinel.conf")
	one.parts = []part{{
		name: "sentinel",
		command: func() (command, error) {
			return command{path: binary, args: []string{conf, "--sentinel"}, dir: folder.path}, nil
		},
		ready: func(ctx context.Context, p Process) error {
			if err := reachable(ctx, address(one.port)); err != nil {
				return err
			}
			return answersAs(ctx, one.client(), p)
		},
	}}
	err = one.startFirst(func() error {
		ports, err := freePorts(1)
		if err != nil {
			return err
		}
		one.port = ports[0]
		// Sentinel keeps what it learns in this file.
		return os.WriteFile(conf, fmt.Appendf(nil, "port %d\nbind %s\ndir %s\n"+
			"sentinel announce-ip %s\nsentinel monitor %s %s %d 2\nsentinel down-after-milliseconds %[5]s %[8]d\n"+
			"sentinel failover-timeout %[5]s 10000\nsentinel parallel-syncs %[5]s 2\n",
			one.port, loopback, folder.path, loopback, SentinelName, loopback, primary, downAfter.Milliseconds()), 0o600)
	})
	if err != nil {
		return nil, err
	}
	return one, nil
}

func (s *sentinelServer) client() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: address(s.port), MaxRetries: -1, PoolSize: 1, Protocol: 2})
}

// inStep reports what keeps the first node's replicas from being in step with it.
func (s *Sentinel) inStep(ctx context.Context) error {
	client := s.nodes[0].Client()
	defer client.Close()
	info, err := client.Info(ctx, "replication").Result()
	if err == nil && strings.Count(info, "state=online") != len(s.nodes)-1 {
		err = errors.New(info)
	}
	return err
}

// settled reports what a sentinel does not know yet.
func (s *Sentinel) settled(ctx context.Context) error {
	for _, one := range s.sentinels {
		client := one.client()
		info, err := client.Do(ctx, "SENTINEL", "MASTER", SentinelName).Slice()
		_ = client.Close()
		if err != nil {
			return err
		}
		for i := 0; i+1 < len(info); i += 2 {
			key, value := fmt.Sprint(info[i]), fmt.Sprint(info[i+1])
			if (key == "num-slaves" || key == "num-other-sentinels") && value != "2" || key == "flags" && value != "master" {
				return fmt.Errorf("%s is %s", key, value)
			}
		}
	}
	return nil
}

// URL is redis://s1,s2,s3?sentinel=mymaster, with the hosts and ports of the
// sentinels. It stays the same through every failover.
func (s *Sentinel) URL() string {
	return "redis://" + strings.Join(s.Addrs(), ",") + "?sentinel=" + SentinelName
}

// Addrs are the sentinels' hosts and ports.
func (s *Sentinel) Addrs() []string {
	var addrs []string
	for _, one := range s.sentinels {
		addrs = append(addrs, address(one.port))
	}
	return addrs
}

// Nodes are the three data servers; any of them may be killed and started again.
func (s *Sentinel) Nodes() []*Redis { return append([]*Redis(nil), s.nodes...) }

// Primary is the data server that all sentinels name as the primary now and that is
// one; while they differ it waits, until ctx ends.
func (s *Sentinel) Primary(ctx context.Context) (*Redis, error) {
	var primary *Redis
	err := poll(ctx, "no primary that all sentinels agree on", func(ctx context.Context) (err error) {
		primary, err = s.agreed(ctx)
		return err
	})
	return primary, err
}

func (s *Sentinel) agreed(ctx context.Context) (*Redis, error) {
	var addr string
	for i, one := range s.sentinels {
		client := one.client()
		pair, err := client.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SentinelName).StringSlice()
		_ = client.Close()
		if err != nil {
			return nil, err
		}
		if got := strings.Join(pair, ":"); i > 0 && got != addr {
			return nil, fmt.Errorf("%s or %s", addr, got)
		} else {
			addr = got
		}
	}
	for _, node := range s.nodes {
		if node.Addr() != addr {
			continue
		}
		client := node.Client()
		defer client.Close()
		role, err := client.Do(ctx, "ROLE").Slice()
		if err != nil {
			return nil, err
		}
		if len(role) == 0 || role[0] != "master" {
			return nil, fmt.Errorf("%s is no primary yet", addr)
		}
		return node, nil
	}
	return nil, fmt.Errorf("%s is none of the nodes", addr)
}

// Failover makes a replica the primary while the old one lives, and returns when all
// sentinels name the new one. For a failover after a crash, Kill the Primary.
func (s *Sentinel) Failover(ctx context.Context) error {
	old, err := s.Primary(ctx)
	if err != nil {
		return err
	}
	asked := false
	return poll(ctx, "no failover", func(ctx context.Context) error {
		if now, err := s.agreed(ctx); err == nil && now != old {
			return nil
		}
		if asked {
			return errors.New("it goes on")
		}
		client := s.sentinels[0].client()
		defer client.Close()
		// Refused while an earlier failover goes on or no replica is known to be well.
		err := client.Do(ctx, "SENTINEL", "FAILOVER", SentinelName).Err()
		if err == nil {
			asked, err = true, errors.New("it goes on")
		}
		return err
	})
}

// Processes are all that run now.
func (s *Sentinel) Processes() []Process {
	var ids []Process
	for _, one := range s.sentinels {
		ids = append(ids, one.Processes()...)
	}
	for _, node := range s.nodes {
		ids = append(ids, node.Processes()...)
	}
	return ids
}

// Close kills all servers and removes their folders.
func (s *Sentinel) Close() error {
	var errs []error
	for _, one := range s.sentinels {
		errs = append(errs, one.Close())
	}
	for _, node := range s.nodes {
		errs = append(errs, node.Close())
	}
	return errors.Join(errs...)
}
