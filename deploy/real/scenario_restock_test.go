package main_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"flashgate"

	"github.com/Shopify/toxiproxy/v2"
)

// restockAndLateAnswer: Redis has answered that all is sold, and the answer is on its
// way while a unit comes back and the gateway is told so. The answer, when it arrives,
// is out of date. The probe that would find that out in a second is out of the way.
func (sc *scene) restockAndLateAnswer() {
	gateway := sc.Gateways[0]
	sc.restart(gateway, sc.probing(gateway.Args, time.Minute), gateway.Env)
	v := sc.valve("gateway 1")

	first, before, late, next := sc.customer(), sc.customer(), sc.customer(), sc.customer()
	sc.accepted(first, 0)
	sc.status(first, soon)
	sc.applied()
	sc.soldOut(before, 0, "the only unit is sold")
	sc.restock()
	if l := sc.inTheEnd(before); l.Status != http.StatusAccepted { // what the gateway believed is over
		sc.t.Fatalf("P4: a unit came back, and a purchase was answered %d %s", l.Status, l.Code)
	}
	sc.status(before, soon)
	sc.applied()

	v.hold(string(late.minted.Order))
	answer := sc.pressing(late, 0)
	sc.until(soon, v.holds, "Redis has not answered")
	sc.restock()
	v.open()
	if l := <-answer; l.Code != flashgate.CodeSoldOut {
		sc.t.Fatalf("the late answer: %d %s, want sold_out", l.Status, l.Code)
	}
	if l := sc.press(next, 0); l.Status != http.StatusAccepted {
		sc.t.Errorf("P4: a unit came back, and a purchase was answered %d %s because of an answer from before", l.Status, l.Code)
	}
	sc.inTheEnd(next)
	sc.end()
}

// restock adds a unit and waits until the gate has it, and a little, in which the
// gateways are told.
func (sc *scene) restock() {
	sc.t.Helper()
	_, err := sc.database.ChangeSale(sc.t.Context(), sc.sale, flashgate.SaleChange{Restock: 1})
	must(sc.t, err)
	sc.until(soon, func() bool {
		b, err := sc.sums()
		return err == nil && b.Applied == b.Seq && b.Free == 1
	}, "P4: the gate does not hear of a restock")
	pause(sc.t.Context(), 300*time.Millisecond)
}

// probing are a gateway's arguments with another sold_out_probe.
func (sc *scene) probing(args []string, probe time.Duration) []string {
	sc.t.Helper()
	text, err := os.ReadFile(filepath.Join(sc.Gateways[0].Dir, "Caddyfile.real"))
	must(sc.t, err)
	const place = "stock_gate POST /api/sales/{sale}/orders {\n"
	if strings.Count(string(text), place) != 1 {
		sc.t.Fatalf("Caddyfile.real has no block %q", place)
	}
	file := filepath.Join(sc.t.TempDir(), "Caddyfile.real")
	must(sc.t, os.WriteFile(file, []byte(strings.Replace(string(text), place, place+"\t\tsold_out_probe "+probe.String()+"\n", 1)), 0o600))
	args = slices.Clone(args)
	at := slices.Index(args, "Caddyfile.real")
	args[at] = file
	return args
}

// valve is a way to Redis that can hold back the answer to one command, while all other
// connections go on.
type valve struct {
	mu      sync.Mutex
	text    []byte        // a connection that has sent it gets no answers; nil: none does
	held    bool          // an answer waits
	release chan struct{} // closed when held answers may go on
}

// valve puts a valve between a process and Redis until the scenario ends.
func (sc *scene) valve(process string) *valve {
	sc.t.Helper()
	v := &valve{release: make(chan struct{})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(sc.t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { v.serve(c, sc.redis.Addr()) })
		}
	})
	turn := func(upstream string) {
		for _, l := range sc.links.of(process, toRedis) {
			must(sc.t, l.proxy.Update(&toxiproxy.Proxy{Listen: l.proxy.Listen, Upstream: upstream, Enabled: true}))
		}
	}
	sc.t.Cleanup(func() {
		turn(sc.redis.Addr()) // which ends the connections
		v.open()
		must(sc.t, listener.Close())
		wg.Wait()
	})
	turn(listener.Addr().String())
	return v
}

// hold holds back the answers to the connection that sends text next.
func (v *valve) hold(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.text, v.held, v.release = []byte(text), false, make(chan struct{})
}

// holds reports whether an answer is held back.
func (v *valve) holds() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.held
}

// open lets everything pass.
func (v *valve) open() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.text != nil {
		v.text = nil
		close(v.release)
	}
}

// serve passes one connection on.
func (v *valve) serve(c net.Conn, upstream string) {
	defer c.Close()
	s, err := net.Dial("tcp", upstream)
	if err != nil {
		return
	}
	defer s.Close()
	var release chan struct{} // guarded by v.mu; not nil once the text was sent
	go func() {
		defer s.Close()
		_, _ = io.Copy(s, readerFunc(func(p []byte) (int, error) {
			n, err := c.Read(p)
			v.mu.Lock()
			defer v.mu.Unlock()
			if v.text != nil && bytes.Contains(p[:n], v.text) {
				release = v.release
			}
			return n, err
		}))
	}()
	_, _ = io.Copy(c, readerFunc(func(p []byte) (int, error) {
		n, err := s.Read(p)
		v.mu.Lock()
		wait := release
		v.held = v.held || wait != nil && v.text != nil
		v.mu.Unlock()
		if wait != nil {
			<-wait
		}
		return n, err
	}))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
