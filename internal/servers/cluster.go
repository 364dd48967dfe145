package servers

import (
	"context"
	"errors"
	"strconv"
	"strings"
)

// ClusterConfig is how to start a Redis Cluster. The zero value is useful.
type ClusterConfig struct {
	// Redis is the configuration of each node. Dir, Port, Password, TLS and Detach must
	// be zero.
	Redis RedisConfig
}

// Cluster is a Redis Cluster of three primaries without replicas.
type Cluster struct {
	nodes []*Redis
}

const clusterSlots = 16384

// StartCluster starts three nodes, shares the slots out among them, and returns when
// each takes the cluster for whole.
func StartCluster(cfg ClusterConfig) (*Cluster, error) {
	if cfg.Redis.Dir != "" || cfg.Redis.Port != 0 || cfg.Redis.Password != "" || cfg.Redis.TLS || cfg.Redis.Detach {
		return nil, errors.New("servers: a Cluster takes no Dir, Port, Password, TLS or Detach")
	}
	c := &Cluster{}
	if err := c.start(cfg); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) start(cfg ClusterConfig) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	const size = 3
	var buses []int
	for range size {
		r, bus, err := startClusterNode(cfg.Redis)
		if err != nil {
			return err
		}
		c.nodes, buses = append(c.nodes, r), append(buses, bus)
	}
	for i, node := range c.nodes {
		client := node.Client()
		defer client.Close()
		// Different epochs first: nodes that meet with the same one must settle it.
		if err := client.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
			return err
		}
		if err := client.ClusterAddSlotsRange(ctx, i*clusterSlots/size, (i+1)*clusterSlots/size-1).Err(); err != nil {
			return err
		}
		if i > 0 {
			first := strconv.Itoa(c.nodes[0].Port())
			if err := client.Do(ctx, "CLUSTER", "MEET", loopback, first, buses[0]).Err(); err != nil {
				return err
			}
		}
	}
	return poll(ctx, "the cluster is not whole", c.whole)
}

// startClusterNode gives the node a port for the cluster's bus too; the default one,
// 10000 higher, may belong to somebody else.
func startClusterNode(cfg RedisConfig) (*Redis, int, error) {
	args := cfg.Args
	for try := 1; ; try++ {
		ports, err := freePorts(1)
		if err != nil {
			return nil, 0, err
		}
		cfg.Args = append([]string{"--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(ports[0]),
			"--cluster-announce-ip", loopback, "--cluster-node-timeout", "5000"}, args...)
		r, err := StartRedis(cfg)
		if err == nil || !errors.Is(err, errPortTaken) || try == 5 {
			return r, ports[0], err
		}
	}
}

func (c *Cluster) whole(ctx context.Context) error {
	for _, node := range c.nodes {
		client := node.Client()
		info, err := client.ClusterInfo(ctx).Result()
		_ = client.Close()
		if err != nil {
			return err
		}
		for _, want := range []string{"cluster_state:ok", "cluster_slots_ok:16384", "cluster_known_nodes:3"} {
			if !strings.Contains(info, want+"\r\n") {
				return errors.New(node.Addr() + " is not at " + want)
			}
		}
	}
	return nil
}

// URL is redis://a,b,c?cluster=true, with the nodes' hosts and ports.
func (c *Cluster) URL() string {
	return "redis://" + strings.Join(c.Addrs(), ",") + "?cluster=true"
}

// Addrs are the nodes' hosts and ports.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, node := range c.nodes {
		addrs = append(addrs, node.Addr())
	}
	return addrs
}

// Nodes are the three primaries; any of them may be killed and started again.
func (c *Cluster) Nodes() []*Redis { return append([]*Redis(nil), c.nodes...) }

// Processes are all that run now.
func (c *Cluster) Processes() []Process {
	var ids []Process
	for _, node := range c.nodes {
		ids = append(ids, node.Processes()...)
	}
	return ids
}

// Close kills all nodes and removes their folders.
func (c *Cluster) Close() error {
	var errs []error
	for _, node := range c.nodes {
		errs = append(errs, node.Close())
	}
	return errors.Join(errs...)
}
