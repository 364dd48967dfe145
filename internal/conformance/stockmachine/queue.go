package stockmachine

import (
	"context"
	"slices"
	"sync"

	"flashgate"
)

// Broker is a queue in memory, for gates that bring none. It outlives the processes
// that use it: Reconnect returns what was in flight.
type Broker struct {
	mu       sync.Mutex
	tag      uint64
	messages []*message
}

type message struct {
	flashgate.Delivery
	inFlight bool
}

// Publish puts a message behind the others.
func (b *Broker) Publish(_ context.Context, m flashgate.Message) error {
	body, err := flashgate.EncodeMessage(m)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tag++
	b.messages = append(b.messages, &message{Delivery: flashgate.Delivery{Tag: b.tag, Body: body}})
	return nil
}

// Receive takes the oldest. It does not wait: with none there it is CodeUnavailable.
func (b *Broker) Receive(_ context.Context, max int) ([]flashgate.Delivery, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []flashgate.Delivery
	for _, m := range b.messages {
		if !m.inFlight && len(out) < max {
			m.inFlight = true
			out = append(out, m.Delivery)
		}
	}
	if len(out) == 0 {
		return nil, flashgate.Errorf(flashgate.CodeUnavailable, "stockmachine.Receive", "There is no message.")
	}
	return out, nil
}

// Ack removes deliveries.
func (b *Broker) Ack(_ context.Context, ds []flashgate.Delivery) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages = slices.DeleteFunc(b.messages, func(m *message) bool { return among(ds, m) })
	return nil
}

// Return lets deliveries come again.
func (b *Broker) Return(_ context.Context, ds []flashgate.Delivery) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.messages {
		if among(ds, m) {
			m.inFlight = false
			m.Attempts++
		}
	}
	return nil
}

// Reconnect is what follows the end of every consumer.
func (b *Broker) Reconnect() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.messages {
		m.inFlight = false
	}
}

func among(ds []flashgate.Delivery, m *message) bool {
	return slices.ContainsFunc(ds, func(d flashgate.Delivery) bool { return d.Tag == m.Tag })
}

var _ Queue = (*Broker)(nil)
