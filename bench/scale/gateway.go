package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"flashgate"
	"flashgate/internal/fleet"
	"flashgate/internal/servers"
)

// buyersOfSale is how many have bought in a sale that gateways are asked about: with
// each of them wrk asks in turn.
const buyersOfSale = 10_000

// Sales at the gateways.
const (
	boughtSale flashgate.SaleID = "bought" // all who ask have bought: Redis is asked each time
	soldSale   flashgate.SaleID = "sold"   // no unit is left: answered by the gateway's flag
)

// site is one Redis, one RabbitMQ, and gateways on them.
type site struct {
	*stock
	dir      string // temporary
	caddy    string // program
	broker   *servers.RabbitMQ
	started  []*fleet.Process
	gateways []string // URLs
}

// openSite starts what is behind the gateways, and opens the two sales.
func openSite(ctx context.Context) (_ *site, err error) {
	t := &site{}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close())
		}
	}()
	if t.dir, err = os.MkdirTemp("", "flashgate-scale-"); err != nil {
		return nil, err
	}
	if t.caddy, err = buildCaddy(ctx); err != nil {
		return nil, err
	}
	if t.stock, err = openStock("everysec"); err != nil {
		return nil, err
	}
	if t.broker, err = servers.StartRabbitMQ(servers.RabbitMQConfig{}); err != nil {
		return nil, err
	}
	return t, errors.Join(t.open(ctx, boughtSale, flashgate.MaxStock, buyersOfSale), t.open(ctx, soldSale, 0, 0))
}

// buildCaddy builds the server of the bench, with the tags of xcaddy.
func buildCaddy(ctx context.Context) (string, error) {
	path, err := filepath.Abs(filepath.Join("..", "bin", "flashgate-bench-caddy"))
	if err != nil {
		return "", err
	}
	build := exec.CommandContext(ctx, "go", "build", "-tags", "nobadger,nomysql,nopgx", "-o", path, "flashgate/bench/caddy")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build Caddy (run it in the bench's folder: go -C bench run ./scale): %w:\n%s", err, out)
	}
	return path, nil
}

func (t *site) close() error {
	var errs []error
	for _, p := range t.started {
		errs = append(errs, p.Stop(10*time.Second))
	}
	if t.broker != nil {
		errs = append(errs, t.broker.Close())
	}
	if t.stock != nil {
		errs = append(errs, t.stock.close())
	}
	if t.dir != "" {
		errs = append(errs, os.RemoveAll(t.dir))
	}
	return errors.Join(errs...)
}

// The lines that differ: a gateway, and Caddy answering by itself.
const (
	gateGlobal = "flashgate {\n\tredis {env.REDIS_URL}\n\trabbitmq {env.AMQP_URL}\n\tkeys {env.FLASHGATE_KEYS}\n}"
	gateRoute  = "stock_gate POST /buy/{sale} {\n\tuser {http.request.header.X-User}\n}"
	bareRoute  = "respond /buy/* `%s` 409"
)

// gateway starts one more Caddy with the route and returns its URL.
func (t *site) gateway(ctx context.Context, global, route string) (string, error) {
	port, err := servers.FreePort()
	if err != nil {
		return "", err
	}
	name := fmt.Sprint("gateway ", len(t.started)+1)
	config := filepath.Join(t.dir, fmt.Sprint("caddyfile-", len(t.started)+1))
	text := fmt.Sprintf("{\nadmin off\npersist_config off\nauto_https off\n%s\n}\nhttp://:%d {\nbind 127.0.0.1\nroute {\n%s\nrespond /ready 200\nrespond 404\n}\n}\n", global, port, route)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return "", err
	}
	url := "http://127.0.0.1:" + strconv.Itoa(port)
	p := &fleet.Process{
		Name: name, Program: t.caddy, Args: []string{"run", "--config", config, "--adapter", "caddyfile"}, Dir: t.dir,
		Env: append(os.Environ(), "HOME="+t.dir, "XDG_DATA_HOME="+t.dir, "XDG_CONFIG_HOME="+t.dir,
			"REDIS_URL="+t.server.URL(), "AMQP_URL="+t.broker.URL(), "FLASHGATE_KEYS="+t.secret),
		Ready: url + "/ready",
	}
	t.started = append(t.started, p)
	return url, p.Start(ctx)
}

// addGateways starts n of them, each of which has refused a first buyer.
func (t *site) addGateways(ctx context.Context, n int) error {
	for range n {
		url, err := t.gateway(ctx, gateGlobal, gateRoute)
		if err != nil {
			return err
		}
		t.gateways = append(t.gateways, url)
		for sale, code := range map[flashgate.SaleID]flashgate.Code{boughtSale: flashgate.CodeAlreadyBought, soldSale: flashgate.CodeSoldOut} {
			if _, err := ask(ctx, url, sale, code); err != nil {
				return err
			}
		}
	}
	return nil
}

// buy sends one purchase by a user who has bought.
func buy(ctx context.Context, url string, sale flashgate.SaleID) (resp *http.Response, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/buy/"+string(sale), nil)
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("X-User", string(userOf(0)))
	if resp, err = http.DefaultClient.Do(req); err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

// ask is buy where the answer must be a refusal with the code. It returns how many bytes
// the whole answer has.
func ask(ctx context.Context, url string, sale flashgate.SaleID, want flashgate.Code) (size int, err error) {
	resp, body, err := buy(ctx, url, sale)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusConflict || !strings.Contains(body, string(want)) {
		return 0, fmt.Errorf("a buyer in sale %s must be refused with %s, the answer is %s: %s", sale, want, resp.Status, body)
	}
	head, err := httputil.DumpResponse(resp, false)
	return len(head) + len(body), err
}
