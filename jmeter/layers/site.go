package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"flashgate"
	"flashgate/internal/fleet"
	"flashgate/internal/servers"
)

const database = "layers"

// site are the servers, which stay, and the programs, which start anew for each layer.
type site struct {
	tmp, root string
	redis     *servers.Redis
	rabbit    *servers.RabbitMQ
	maria     *servers.MariaDB
	keys      string
	key       string // for the load test
	runs      int
}

// programs are built under the names by which fleet and this command call them.
var programs = map[string]string{"flashgate-demo": "./deploy/demo", "shopapp": "./shopapp", "orderworker": "./orderworker", "flashgate-load": "./jmeter/load"}

func newSite(ctx context.Context) (_ *site, err error) {
	s := &site{keys: flashgate.NewKey(), key: flashgate.NewKey()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.root, err = os.Getwd(); err != nil {
		return nil, err
	}
	if s.tmp, err = os.MkdirTemp("", "layers"); err != nil {
		return nil, err
	}
	for name, folder := range programs {
		build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(s.tmp, name), folder)
		if said, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s does not build: %w\n%s", folder, err, said)
		}
	}
	// fleet loads Caddyfile.real of the folder that it is given.
	text, err := os.ReadFile(filepath.Join("jmeter", "seckill-classic.Caddyfile"))
	if err != nil {
		return nil, fmt.Errorf("run it in the project's folder: %w", err)
	}
	if err := os.WriteFile(filepath.Join(s.tmp, "Caddyfile.real"), text, 0o600); err != nil {
		return nil, err
	}
	if s.redis, err = servers.StartRedis(servers.RedisConfig{}); err != nil {
		return nil, err
	}
	if s.rabbit, err = servers.StartRabbitMQ(servers.RabbitMQConfig{}); err != nil {
		return nil, err
	}
	if s.maria, err = servers.StartMariaDB(servers.MariaDBConfig{}); err != nil {
		return nil, err
	}
	return s, s.maria.CreateDatabase(ctx, database)
}

func (s *site) close() (err error) {
	if s.redis != nil {
		err = errors.Join(err, s.redis.Close())
	}
	if s.rabbit != nil {
		err = errors.Join(err, s.rabbit.Close())
	}
	if s.maria != nil {
		err = errors.Join(err, s.maria.Close())
	}
	if s.tmp != "" {
		err = errors.Join(err, os.RemoveAll(s.tmp))
	}
	return err
}

// play runs the plan once with a layer. It must be green: a table of runs that have sold
// something else would compare nothing.
func (s *site) play(ctx context.Context, l layer, set settings) (_ *measured, err error) {
	f, err := fleet.Start(ctx, fleet.Config{
		Gateways: 1, Workers: 1, Bin: s.tmp, Root: s.tmp, Data: filepath.Join(s.tmp, "data"), Keys: s.keys, LoadtestKey: s.key,
		RedisURL: s.redis.URL(), AMQPURL: s.rabbit.URL(), MySQLDSN: s.maria.DSN(database), Env: append([]string{"GOGC=400"}, l.env...),
		GatewayAddr: "127.0.0.1:0", AdminAddr: "127.0.0.1:0", ShopAddr: "127.0.0.1:0", WorkerAddr: "127.0.0.1:0",
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Stop()) }()
	s.runs++
	out, history := filepath.Join(s.tmp, strconv.Itoa(s.runs)), filepath.Join(s.tmp, "history.jsonl")
	cmd := exec.CommandContext(ctx, filepath.Join(s.tmp, "flashgate-load"), "run",
		"-Jcaptcha=false", "-Jpath=false", fmt.Sprint("-Jviews=", set.views), "seckill-classic")
	cmd.Dir = s.root
	cmd.Env = append(os.Environ(), "TARGET="+f.URLs[0], "FLASHGATE_LOADTEST_KEY="+s.key, "MYSQL_DSN="+s.maria.DSN(database),
		"REDIS_URL="+s.redis.URL(), "AMQP_URL="+s.rabbit.URL(), "FLASHGATE_DATA=", "SALE=", "USERS_CSV=", "PLAN=",
		"OUT="+out, "REPORT=no", "HISTORY="+history, fmt.Sprint("USERS=", set.users), fmt.Sprint("UNITS=", set.units))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("the run is not green: %w\n%s", err, said.String())
	}
	return lastRun(history, set)
}

// measured is a line of the history.
type measured struct {
	Machine json.RawMessage   `json:"machine"`
	Labels  map[string]figure `json:"labels"`
}

type figure struct {
	Count  int            `json:"count"`
	Codes  map[string]int `json:"codes"`
	PerSec float64        `json:"per_second"`
	P50    float64        `json:"p50_ms"`
	P99    float64        `json:"p99_ms"`
}

func lastRun(history string, set settings) (*measured, error) {
	text, err := os.ReadFile(history)
	if err != nil {
		return nil, err
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	m := new(measured)
	if err := json.Unmarshal(lines[len(lines)-1], m); err != nil {
		return nil, err
	}
	buy := m.Labels["buy"]
	if buy.Codes["202"] != set.units || buy.Codes["409"] != set.users-set.units || buy.Count != set.users {
		return nil, fmt.Errorf("the button was answered %v: it must be %d × 202 and %d × 409", buy.Codes, set.units, set.users-set.units)
	}
	return m, nil
}
