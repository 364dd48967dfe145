package caddymodule_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/caddymodule/gatewaytest"

	"github.com/caddyserver/caddy/v2"
)

// badKeys fails while it is provisioned: the parser cannot know what a placeholder
// stands for.
func badKeys(t *testing.T, text string) string {
	t.Setenv("FLASHGATE_TEST_KEYS", "not a key")
	return "{\nadmin ADMIN\npersist_config off\nlog {\noutput discard\n}\nflashgate {\ndata_dir DATA\nkeys {env.FLASHGATE_TEST_KEYS}\n}\n}\n" + text
}

// takenPort fails while it starts, after or before the app has started: somebody
// else listens on its second port.
func takenPort(t *testing.T, text string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return text + "\nhttp://" + l.Addr().String() + " {\nbind 127.0.0.1\nrespond ok\n}\n"
}

// Buyers come all the time while configurations come and go, good ones and bad ones.
func TestReloadInTheMiddleOfASale(t *testing.T) {
	const units, buyers = 40, 60
	g := gatewaytest.Run(t, shop)
	g.Sale(t, "1", units, 0)
	clients := make([]*gatewaytest.Client, buyers)
	for i := range clients {
		clients[i] = g.Login(t, flashgate.UserID(fmt.Sprint("u", i)))
	}
	var mu sync.Mutex
	answers := map[string]int{}
	var wg sync.WaitGroup
	turn := make(chan *gatewaytest.Client)
	for range 4 {
		wg.Go(func() {
			for c := range turn {
				minted, err := c.Try(t.Context(), "POST", "/api/sales/1/path")
				if err != nil {
					t.Error(err)
				}
				a, err := c.Try(t.Context(), "POST", "/api/sales/1/orders/"+minted.Member("path"))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				answers[fmt.Sprint(a.Status, " ", a.Code())]++
				mu.Unlock()
			}
		})
	}
	bad, taken := badKeys(t, shop), takenPort(t, shop)
	for i, c := range clients {
		turn <- c
		if i%6 != 0 {
			continue
		}
		if err := g.Load(shop); err != nil {
			t.Error(err)
		}
		if g.Load(bad) == nil || g.Load(taken) == nil {
			t.Error("a bad configuration was loaded")
		}
	}
	close(turn)
	wg.Wait()
	if answers["202 "] != units || answers["409 sold_out"] != buyers-units || len(answers) != 2 {
		t.Errorf("answers %v, want %d accepted and %d sold out", answers, units, buyers-units)
	}
	if view, err := g.Store(t).View(t.Context(), "1"); err != nil || view.Held != units || view.Free != 0 {
		t.Errorf("the stock: %+v, %v", view, err)
	}
}

func TestReloadKeepsLimits(t *testing.T) {
	g := gatewaytest.Run(t, shop)
	rate := flashgate.Rate{Limit: 1, Window: time.Hour}
	allow := func() bool {
		t.Helper()
		v, err := flashgate.Allow(t.Context(), app.Live().Limiter(), "key", rate)
		if err != nil {
			t.Fatal(err)
		}
		return v.Allowed
	}
	if !allow() {
		t.Fatal("the first request was refused")
	}
	before := app.Live()
	if err := g.Load(shop); err != nil {
		t.Fatal(err)
	}
	if app.Live() == before {
		t.Fatal("the old app is live after a reload")
	}
	if allow() {
		t.Error("a reload has reset the limit")
	}
	for name, text := range map[string]string{"bad keys": badKeys(t, shop), "taken port": takenPort(t, shop)} {
		before := app.Live()
		if g.Load(text) == nil {
			t.Fatalf("%s: loaded", name)
		}
		if app.Live() != before {
			t.Errorf("%s: another app is live", name)
		}
		if allow() {
			t.Errorf("%s: a failed reload has reset the limit", name)
		}
	}
}

// A request that outlives its configuration keeps its backend, also when nobody else
// has it.
func TestARequestOutlivesItsConfiguration(t *testing.T) {
	g := gatewaytest.Run(t, shop)
	g.Sale(t, "1", 1, 0)
	old := app.Live()
	stock, err := old.Stock()
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Load("{\nadmin off\npersist_config off\nlog {\noutput discard\n}\nflashgate {\ndata_dir DATA/other\n}\n}\n" + shop); err != nil {
		t.Fatal(err)
	}
	if view, err := stock.View(t.Context(), "1"); err != nil || view.Free != 1 {
		t.Errorf("a stock from before: %+v, %v", view, err)
	}
	if again, err := old.Stock(); err != nil {
		t.Error(err)
	} else if _, err := again.View(t.Context(), "1"); err != nil {
		t.Errorf("the app from before: %v", err)
	}
	if stock, err = app.Live().Stock(); err != nil {
		t.Fatal(err)
	}
	if _, err := stock.View(t.Context(), "1"); flashgate.ErrorCode(err) != flashgate.CodeNotFound {
		t.Errorf("the new folder has the old sale: %v", err)
	}
}

// caddy validate needs nothing running and leaves nothing behind.
func TestValidateOpensNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	text := strings.NewReplacer("SITE", "http://"+gatewaytest.FreeAddr(t), "DATA", dir).Replace(
		"{\nadmin off\nflashgate {\ndata_dir DATA\n}\n}\n" + shop)
	adapted, err := gatewaytest.Adapt(text)
	if err != nil {
		t.Fatal(err)
	}
	var cfg *caddy.Config
	if err := caddy.StrictUnmarshalJSON(adapted, &cfg); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(cfg); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the data folder is there after validating: %v", err)
	}
}
