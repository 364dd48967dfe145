package main_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"flashgate"
	"flashgate/deploy/chaos"
	"flashgate/deploy/contract"
	"flashgate/internal/failpoint"
	"flashgate/internal/servers"
	"flashgate/shopapp/shop"
)

// The sales: one that everybody wants, one with enough for all, and the first one of the
// demo, whose times every start sets anew.
const scarce, plenty = flashgate.SaleID("scarce"), flashgate.SaleID("plenty")

func startCampaign(t *testing.T, seed uint64) *campaign {
	t.Helper()
	plantFailpoints(t)
	c := &campaign{
		random: rand.New(rand.NewPCG(seed, 0)), points: t.TempDir(), journal: chaos.Start(t), newcomers: make(chan *contract.Client, 4096),
		seeded: map[flashgate.SaleID]int64{scarce: 5, plenty: 100_000, "1": 100},
	}
	c.pulse.sale = plenty
	c.books = &auditor{scratch: t.TempDir()}
	for _, point := range failpoint.Names() {
		if _, never := neverPassed[point]; never {
			c.arm(t, point, "kill")
		} else if !slices.Contains(passed, point) {
			t.Errorf("nobody has said whether the embedded form passes the failpoint %s", point)
		}
	}
	c.launch(t)
	admin := c.login(t, shop.DemoAdministrator)
	for _, sale := range []flashgate.SaleID{scarce, plenty} {
		a, err := admin.Do(t.Context(), http.MethodPost, "/api/admin/sales", map[string]any{
			"id": sale, "goods": "1", "flash_price": 990, "stock": c.seeded[sale],
			"starts_at": time.Now().Add(-time.Minute), "ends_at": time.Now().Add(24 * time.Hour),
		})
		if err != nil || a.Status != http.StatusCreated {
			t.Fatalf("sale %s: %s, %v", sale, a, err)
		}
	}
	c.invite(t)
	return c
}

// launch is startDemo on ports that no outgoing connection takes while the demo is
// down.
func (c *campaign) launch(t *testing.T) {
	t.Helper()
	var addrs [4]string
	for i := range addrs {
		port, err := servers.FreePort()
		must(t, err)
		addrs[i] = fmt.Sprint("127.0.0.1:", port)
	}
	c.demo = &demo{data: t.TempDir(), log: &lockedBuffer{}, url: "http://" + addrs[0], admin: "http://" + addrs[1]}
	c.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "FLASHGATE_DATA=" + c.data,
		"FLASHGATE_ADDR=" + addrs[0], "FLASHGATE_ADMIN=" + addrs[1], "SHOP_ADDR=" + addrs[2], "WORKER_ADDR=" + addrs[3],
		"FLASHGATE_LOADTEST_KEY=" + loadtestKey, "ORDER_TTL=" + orderTTL.String(), failpoint.Variable + "=" + c.points,
	}
	c.books.data = c.data
	c.duplicates.url = "http://" + addrs[3] + "/metrics"
	c.start(t)
	t.Cleanup(func() {
		c.kill()
		if t.Failed() {
			t.Logf("the demo's log ends with:\n%s", c.log.tail(8<<10))
		}
	})
}

// plantFailpoints makes the demos of this test ones with failpoints. No other test runs
// meanwhile: this one is not parallel.
func plantFailpoints(t *testing.T) {
	t.Helper()
	planted := filepath.Join(t.TempDir(), "flashgate-demo")
	args := []string{"build", "-tags", "failpoint", "-o", planted}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.CommandContext(t.Context(), "go", append(args, ".")...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	plain := binary
	binary = planted
	t.Cleanup(func() { binary = plain })
}

// invite sees to it that there are people who have not bought yet.
func (c *campaign) invite(t *testing.T) {
	t.Helper()
	if len(c.newcomers) > 200 {
		return
	}
	c.books.file.Lock()
	defer c.books.file.Unlock()
	for _, one := range c.crowd(t, 400) {
		c.newcomers <- one
	}
}
