package conformance_test

import (
	"context"
	"time"

	"flashgate"
)

// say says from which state an answer is.
func (h *head) say(r flashgate.Reserved) flashgate.Reserved {
	if !planted("reserve: no epoch") {
		r.Epoch = h.epoch
	}
	if !planted("reserve: no seq") {
		r.Applied = h.applied
	}
	if planted("reserve: sold out without an end") {
		r.EndsIn = 0
	}
	return r
}

func (g *gate) Freed(_ context.Context, sale flashgate.SaleID) flashgate.Freed {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := flashgate.Freed{Term: 1, Since: g.freed[sale]}
	if planted("freed: everything, always") {
		f.Since.Epoch++
	}
	return f
}

// tell keeps where an entry has brought units back or moved the window.
func (g *gate) tell(sale flashgate.SaleID, h *head, e flashgate.LogEntry) {
	for _, c := range e.Changes {
		switch c.Kind {
		case flashgate.ChangePlaced:
			continue
		case flashgate.ChangeCancelled:
			if planted("freed: a cancel is not told") {
				continue
			}
		case flashgate.ChangeRejected:
			if planted("freed: a rejection is not told") {
				continue
			}
		case flashgate.ChangeRestock:
			if planted("freed: a restock is not told") {
				continue
			}
		case flashgate.ChangeWindow:
			if planted("freed: a moved window is not told") || e.Ends.After(time.Now()) && planted("freed: a window that opens is not told") {
				continue
			}
		}
		g.freed[sale] = flashgate.Position{Epoch: h.epoch, Applied: h.applied}
		if planted("freed: one too early") {
			g.freed[sale] = flashgate.Position{Epoch: h.epoch, Applied: h.applied - 1}
		}
	}
}

var _ flashgate.FreedWatcher = (*gate)(nil)
