package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"flashgate"
	"flashgate/shopapp/shop"

	"go.uber.org/zap"
)

// Bounds of event streams.
const (
	maxStreams     = 10_000
	streamLife     = 10 * time.Minute // the client connects again then
	heartbeatEvery = 15 * time.Second
	lookEvery      = 100 * time.Millisecond
	chunk          = 500 // ids in one read
)

// hub reads the rows of all orders that somebody watches, in as few reads as
// possible: its load on the database does not depend on how many people wait for one
// order, and it rests when nobody watches.
type hub struct {
	shop *shop.Service
	log  *zap.Logger

	mu      sync.Mutex
	streams int
	watched map[flashgate.OrderID]map[chan flashgate.Order]bool
	running bool
}

func newHub(s *shop.Service, log *zap.Logger) *hub {
	return &hub{shop: s, log: log, watched: map[flashgate.OrderID]map[chan flashgate.Order]bool{}}
}

// watch gives the order's row whenever it was read. A slow stream misses rows, never
// the latest one.
func (h *hub) watch(id flashgate.OrderID) (rows chan flashgate.Order, leave func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams >= maxStreams {
		return nil, nil, &flashgate.Error{Code: flashgate.CodeUnavailable, Op: "web.events", Message: "Too many people are watching. Ask for the order itself.", RetryAfter: 5 * time.Second}
	}
	h.streams++
	rows = make(chan flashgate.Order, 1)
	if h.watched[id] == nil {
		h.watched[id] = map[chan flashgate.Order]bool{}
	}
	h.watched[id][rows] = true
	if !h.running {
		h.running = true
		go h.run()
	}
	return rows, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.streams--
		delete(h.watched[id], rows)
		if len(h.watched[id]) == 0 {
			delete(h.watched, id)
		}
	}, nil
}

// run looks until nobody watches any more.
func (h *hub) run() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for range tick.C {
		ids, ok := h.ids()
		if !ok {
			return
		}
		for len(ids) > 0 {
			n := min(len(ids), chunk)
			h.look(ids[:n])
			ids = ids[n:]
		}
	}
}

func (h *hub) ids() ([]flashgate.OrderID, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.watched) == 0 {
		h.running = false
		return nil, false
	}
	ids := make([]flashgate.OrderID, 0, len(h.watched))
	for id := range h.watched {
		ids = append(ids, id)
	}
	return ids, true
}

func (h *hub) look(ids []flashgate.OrderID) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	orders, err := h.shop.Watched(ctx, ids)
	if err != nil {
		h.log.Warn("event streams wait: the orders cannot be read", zap.Error(err))
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range orders {
		for rows := range h.watched[o.ID] {
			select { // the newest row replaces one that was not taken
			case <-rows:
			default:
			}
			rows <- o
		}
	}
}

// orderEvents streams an order (WHATWG HTML, section 9.2) until it needs no more
// waiting for. It starts with what is known now, so a client may come at any time.
func (s *Server) orderEvents(w http.ResponseWriter, r *http.Request) error {
	u, err := s.user(r)
	if err != nil {
		return err
	}
	id := flashgate.OrderID(r.PathValue("order"))
	o, err := s.shop.Order(r.Context(), id, u.ID)
	if err != nil {
		return err
	}
	rows, leave, err := s.hub.watch(id)
	if err != nil {
		return err
	}
	defer leave()

	rc := http.NewResponseController(w)
	if err := rc.SetWriteDeadline(time.Time{}); err != nil {
		return &flashgate.Error{Code: flashgate.CodeInternal, Op: "web.events", Err: err}
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)

	heartbeat := time.NewTicker(heartbeatEvery)
	defer heartbeat.Stop()
	over := time.NewTimer(streamLife)
	defer over.Stop()
	var last orderBody
	for {
		if now := wireOrder(o); now != last {
			last = now
			if err := sendEvent(w, now); err != nil {
				return nil // the client has gone
			}
		}
		if err := rc.Flush(); err != nil || o.Status.Final() {
			return nil
		}
		select {
		case o = <-rows:
		case <-heartbeat.C:
			if _, err := fmt.Fprint(w, ": still here\n\n"); err != nil {
				return nil
			}
		case <-over.C:
			return nil
		case <-s.closing:
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
}

func sendEvent(w http.ResponseWriter, o orderBody) error {
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "event: order\ndata: %s\n\n", data)
	return err
}
