package servers_test

import (
	"context"
	"strconv"
	"testing"

	"flashgate/internal/servers/serverstest"

	"github.com/redis/go-redis/v9"
)

func TestClusterAnswersOnThreePrimaries(t *testing.T) {
	t.Parallel()
	c := serverstest.Cluster(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs()})
	t.Cleanup(func() { _ = client.Close() })
	const keys = 300
	for i := range keys {
		if err := client.Set(t.Context(), strconv.Itoa(i), i, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	var total int64
	for _, node := range c.Nodes() {
		one := node.Client()
		n, err := one.DBSize(t.Context()).Result()
		_ = one.Close()
		if err != nil || n < keys/6 {
			t.Errorf("%s holds %d keys, %v", node.Addr(), n, err)
		}
		total += n
	}
	if total != keys {
		t.Errorf("%d keys", total)
	}
	primaries := make(chan string, 10)
	err := client.ForEachMaster(t.Context(), func(_ context.Context, one *redis.Client) error {
		primaries <- one.Options().Addr
		return nil
	})
	if len(primaries) != 3 || err != nil {
		t.Errorf("%d primaries, %v", len(primaries), err)
	}
	if want := "redis://" + c.Addrs()[0] + "," + c.Addrs()[1] + "," + c.Addrs()[2] + "?cluster=true"; c.URL() != want {
		t.Errorf("%s, want %s", c.URL(), want)
	}
}
