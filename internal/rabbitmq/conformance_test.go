package rabbitmq_test

import (
	"testing"

	"flashgate"
	"flashgate/internal/conformance"
	"flashgate/internal/rabbitmq"
)

// fixture is a queue of its own. Its Reopen closes in good order, because the broker
// gives no receipt for an ack, and one that is still on its way would be lost with the
// connection.
func fixture(t testing.TB, cfg rabbitmq.Config) conformance.QueueFixture {
	t.Helper()
	p, c := openPublisher(t, cfg), openConsumer(t, cfg)
	return conformance.QueueFixture{
		Publisher: p, Consumer: c,
		Raw: func(t testing.TB, sale flashgate.SaleID, body []byte) {
			t.Helper()
			if err := p.PublishRaw(t.Context(), sale, body); err != nil {
				t.Fatal(err)
			}
		},
		Reopen: func(t testing.TB) conformance.QueueFixture {
			t.Helper()
			closed(t, p)
			closed(t, c)
			return fixture(t, cfg)
		},
	}
}

func newFixture(t *testing.T) conformance.QueueFixture {
	t.Helper()
	return fixture(t, config(t))
}

func TestQueue(t *testing.T)  { t.Parallel(); conformance.Queue(t, newFixture) }
func TestFencer(t *testing.T) { t.Parallel(); conformance.Fencer(t, newFixture) }
