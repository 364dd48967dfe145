package redis_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/rs/zerolog"
)

// toxicLink is a proxy in front of a server that can be slow, silent, cut, or in pieces.
type toxicLink struct {
	proxy *toxiproxy.Proxy
	kinds map[string]int // how often each fault was there
}

// newToxicLinks makes some, one for each client of the server at addr.
func newToxicLinks(t testing.TB, addr string, n int) (links []*toxicLink) {
	t.Helper()
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	t.Cleanup(func() {
		if err := api.Collection.Clear(); err != nil {
			t.Error(err)
		}
	})
	for i := range n {
		p := toxiproxy.NewProxy(api, fmt.Sprint("link ", i), "127.0.0.1:0", addr)
		if err := api.Collection.Add(p, true); err != nil {
			t.Fatal(err)
		}
		links = append(links, &toxicLink{proxy: p, kinds: map[string]int{}})
	}
	return links
}

func (l *toxicLink) url() string { return "redis://" + l.proxy.Listen }

// toxic is a fault of a link: https://github.com/Shopify/toxiproxy#toxics. Times are in
// milliseconds.
type toxic struct {
	kind      string
	direction stream.Direction
	settings  map[string]int
}

func (x toxic) name() string { return x.kind + " " + x.direction.String() }

// late is longer than a client's patience, so that its call is over when it arrives.
const (
	linearTimeout = 200 * time.Millisecond
	late          = 300
)

// toxics are the faults. Those towards the server delay or lose calls, the others
// answers. The slicer is not among them: in Toxiproxy 2.12 one whose reader has left waits
// for it for ever, and cannot be removed.
var toxics = []toxic{
	{"latency", stream.Upstream, map[string]int{"latency": late}},
	{"latency", stream.Downstream, map[string]int{"latency": late}},
	{"latency", stream.Upstream, map[string]int{"latency": 20, "jitter": 20}},
	{"timeout", stream.Upstream, nil}, // a black hole; at its end the connections are cut
	lostAnswers,
	{"reset_peer", stream.Upstream, nil},
	{"reset_peer", stream.Downstream, nil},
	{"limit_data", stream.Downstream, map[string]int{"bytes": 50}}, // a part of an answer, and the cut
}

// lostAnswers is the fault under which a call takes effect and nobody hears of it.
var lostAnswers = toxic{"timeout", stream.Downstream, nil}

// infect lets a fault be there while something is done.
func (l *toxicLink) infect(x toxic, during func()) error {
	spec, err := json.Marshal(map[string]any{"name": "fault", "type": x.kind, "stream": x.direction.String(), "attributes": x.settings})
	if err != nil {
		return err
	}
	if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(string(spec))); err != nil {
		return err
	}
	l.kinds[x.name()]++
	during()
	return l.proxy.Toxics.RemoveToxic(context.Background(), "fault")
}

// pause lets time go by, or ends with the context.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// infectAll gives every link one fault after the other, each kind in turn, until the
// context ends.
func infectAll(ctx context.Context, t testing.TB, links []*toxicLink) {
	var wg sync.WaitGroup
	for i, l := range links {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(7, uint64(i)))
			for ctx.Err() == nil {
				for _, at := range r.Perm(len(toxics)) {
					pause(ctx, time.Duration(20+r.IntN(60))*time.Millisecond)
					if ctx.Err() != nil {
						return
					}
					err := l.infect(toxics[at], func() { pause(ctx, time.Duration(30+r.IntN(120))*time.Millisecond) })
					if err != nil {
						t.Errorf("%s: %v", toxics[at].name(), err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}
