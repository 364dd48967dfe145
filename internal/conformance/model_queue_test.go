package conformance_test

import (
	"context"
	"slices"
	"sync"

	"flashgate"
)

// queue is a model of a queue on a broker: Publisher, Fencer and Consumer.
type queue struct {
	mu      sync.Mutex
	next    uint64
	waiting []flashgate.Delivery // also what is in flight
	flying  map[uint64]bool
	came    chan struct{} // closed and replaced when something may be received
}

func newQueue() *queue {
	return &queue{flying: map[uint64]bool{}, came: make(chan struct{})}
}

// crash makes a queue of what was durable.
func (q *queue) crash() *queue {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := newQueue()
	n.next = q.next
	for _, d := range q.waiting {
		if planted("queue: not durable") || q.flying[d.Tag] && planted("queue: unacked are lost in a crash") {
			continue
		}
		n.waiting = append(n.waiting, d)
	}
	return n
}

func (q *queue) put(body []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.next++
	tag := q.next
	if planted("queue: tags come again") {
		tag = uint64(len(q.waiting)) + 1
	}
	d := flashgate.Delivery{Tag: tag, Body: body}
	if planted("queue: newest first") {
		q.waiting = slices.Insert(q.waiting, 0, d)
	} else {
		q.waiting = append(q.waiting, d)
	}
	q.wake()
}

func (q *queue) wake() {
	close(q.came)
	q.came = make(chan struct{})
}

func (q *queue) Publish(ctx context.Context, m flashgate.Message) error {
	if err := ctx.Err(); err != nil && !planted("publish: context ignored") {
		return away("model.Publish", err)
	}
	body, err := flashgate.EncodeMessage(m)
	if err != nil {
		return err
	}
	if planted("publish: large messages are lost") && len(body) > 1<<16 {
		return nil
	}
	q.put(body)
	return nil
}

func (q *queue) SendFence(ctx context.Context, sale flashgate.SaleID, epoch uint64) error {
	m := flashgate.NewMessage(sale, epoch)
	m.Fence = true
	if planted("fence: overtakes") {
		body, _ := flashgate.EncodeMessage(m)
		q.mu.Lock()
		defer q.mu.Unlock()
		q.next++
		q.waiting = slices.Insert(q.waiting, 0, flashgate.Delivery{Tag: q.next, Body: body})
		q.wake()
		return nil
	}
	return q.Publish(ctx, m)
}

func (q *queue) Receive(ctx context.Context, limit int) ([]flashgate.Delivery, error) {
	for {
		q.mu.Lock()
		came := q.came
		var out []flashgate.Delivery
		for _, d := range q.waiting {
			if (len(out) < limit || planted("receive: max ignored")) && (!q.flying[d.Tag] || planted("receive: gives out what is in flight")) {
				q.flying[d.Tag] = true
				out = append(out, d)
			}
		}
		q.mu.Unlock()
		if len(out) > 0 || planted("receive: does not wait") {
			return out, nil
		}
		select {
		case <-came:
		case <-ctx.Done():
			return nil, away("model.Receive", ctx.Err())
		}
	}
}

func (q *queue) Ack(ctx context.Context, ds []flashgate.Delivery) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, d := range ds {
		delete(q.flying, d.Tag)
		if !planted("ack: removes nothing") {
			q.waiting = slices.DeleteFunc(q.waiting, func(w flashgate.Delivery) bool { return w.Tag == d.Tag })
		}
	}
	return nil
}

func (q *queue) Return(ctx context.Context, ds []flashgate.Delivery) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, d := range ds {
		delete(q.flying, d.Tag)
		if planted("return: loses it") {
			q.waiting = slices.DeleteFunc(q.waiting, func(w flashgate.Delivery) bool { return w.Tag == d.Tag })
		}
		for i := range q.waiting {
			if q.waiting[i].Tag == d.Tag && !planted("return: attempts are not counted") {
				q.waiting[i].Attempts++
			}
		}
	}
	q.wake()
	return nil
}

var (
	_ flashgate.Publisher = (*queue)(nil)
	_ flashgate.Fencer    = (*queue)(nil)
	_ flashgate.Consumer  = (*queue)(nil)
)
