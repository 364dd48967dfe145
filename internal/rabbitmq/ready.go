package rabbitmq

import "errors"

var errNotConnected = errors.New("there is no connection")

// Ready is CodeUnavailable while there is no connection, or the broker takes no
// messages, as far as this process knows: it asks nobody. Before the first use there
// is no connection; Check makes one.
func (p *Publisher) Ready() error {
	const op = "rabbitmq.Ready"
	p.link.mu.Lock()
	alive, outlet, cause := p.link.alive, p.link.current, p.link.cause
	p.link.mu.Unlock()
	if !alive {
		return unavailable(op, errors.Join(errNotConnected, cause))
	}
	return unavailable(op, outlet.err())
}
