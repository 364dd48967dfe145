package jmeter_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"flashgate"
	"flashgate/internal/fleet"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// realSite is a gateway, a shop and an order worker on servers of the test's own, and what
// the load tester needs to know of it.
func realSite(t *testing.T) (env []string) {
	t.Helper()
	redis, rabbit, maria := serverstest.OwnRedis(t, servers.RedisConfig{}), serverstest.OwnRabbitMQ(t), serverstest.OwnMariaDB(t)
	if err := maria.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	for name, folder := range map[string]string{"flashgate-demo": "deploy/demo", "shopapp": "shopapp", "orderworker": "orderworker"} {
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, name), "flashgate/"+folder).CombinedOutput(); err != nil {
			t.Fatalf("%s does not build: %v\n%s", folder, err, out)
		}
	}
	read(t, "../Caddyfile.real")
	key := flashgate.NewKey() // no other test's
	f, err := fleet.Start(t.Context(), fleet.Config{
		Gateways: 1, Workers: 1, Bin: bin, Root: "..", Data: t.TempDir(), Keys: flashgate.NewKey(), LoadtestKey: key,
		RedisURL: redis.URL(), AMQPURL: rabbit.URL(), MySQLDSN: maria.DSN("shop"),
		GatewayAddr: "127.0.0.1:0", AdminAddr: "127.0.0.1:0", ShopAddr: "127.0.0.1:0", WorkerAddr: "127.0.0.1:0",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Stop(); err != nil {
			t.Error(err)
		}
	})
	return []string{"TARGET=" + f.URLs[0], "FLASHGATE_LOADTEST_KEY=" + key,
		"MYSQL_DSN=" + maria.DSN("shop"), "REDIS_URL=" + redis.URL(), "AMQP_URL=" + rabbit.URL()}
}

// On the real servers buyers log in, hear of their orders, pay and cancel, and the verdict
// looks at the gate and the queues, too. Nothing secret is on a command line meanwhile.
func testFlashSaleOnRealServers(t *testing.T) {
	t.Parallel()
	env := realSite(t)
	var secrets []string
	for _, setting := range env[1:] { // the servers' addresses have their passwords in them
		_, value, _ := strings.Cut(setting, "=")
		secrets = append(secrets, value)
	}
	env = append(env, quick, "USERS=30", "UNITS=12", "RAMP_UP=1", "REPORT=no")
	seen := exposed(t, secrets...)
	r := load(t, []string{"run", "-Jlogin=true", "-Jwatch=events", "-Jpay=50", "-Jcancel=50", "flash-sale"}, env...)
	if lines := seen(); len(lines) > 0 {
		t.Errorf("every user of the machine can read %q", lines)
	}
	if r.exit != 0 {
		t.Fatalf("exit %d\n%s%s", r.exit, r.log, r.out)
	}
	r.noFaults(t, "flash-sale")
	for _, want := range []string{`login +30 × 200`, `buy +1[2-9] × 202`, `events +[0-9]+ × 200$`, `(pay|cancel) +[0-9]+ × 200$`,
		`green P4 `, `green redis the gate is at rest`, `green queue nothing is left behind`} {
		if !regexp.MustCompile(`(?m)^` + want).MatchString(r.out) {
			t.Errorf("no line %q in\n%s", want, r.out)
		}
	}
}
