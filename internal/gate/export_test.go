package gate

import "flashgate"

// MaxRefusals is of how many sales a refusal is known at the most.
const MaxRefusals = maxRefusals

// Queued is how many requests of a sale have not been sent.
func Queued(g *Gate, sale flashgate.SaleID) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.lanes[sale]; l != nil {
		return len(l.queue)
	}
	return 0
}
