package rabbitmq

import "flashgate"

// OrderQueue is the queue that a sale hashes to.
func OrderQueue(p *Publisher, sale flashgate.SaleID) string {
	return p.settings.orderQueue(p.settings.partition(sale))
}

// Partition is the number of that queue, of so many.
func Partition(queues int, sale flashgate.SaleID) int {
	return (&settings{Config: Config{Queues: queues}}).partition(sale)
}

// Break ends the connection as a lost network would. It reports whether there was one.
func (p *Publisher) Break() bool { return broken(p.link) }

// Break ends the connection as a killed process would.
func (c *Consumer) Break() bool { return broken(c.link) }

func broken[S interface {
	session
	fail(error)
}](l *link[S]) bool {
	s, ok := l.peek()
	if ok {
		s.fail(errNoReply)
	}
	return ok
}

// Unacked is how many deliveries the broker has sent and not got back an ack for.
func Unacked(c *Consumer) int {
	s, ok := c.link.peek()
	if !ok {
		return 0
	}
	n := 0
	for _, in := range s.intakes {
		in.mu.Lock()
		n += len(in.unacked)
		in.mu.Unlock()
	}
	return n
}

// Outlet names the connection, nil when there is none.
func (p *Publisher) Outlet() any {
	o, ok := p.link.peek()
	if !ok {
		return nil
	}
	return o
}
