package worker_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"flashgate"
	"flashgate/orderworker/worker"
)

func TestNewRefusesAGate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	// New calls nobody: that the ports are there is all it looks at.
	good := worker.GateConfig{
		Stock: struct{ worker.Gate }{}, Log: struct{ flashgate.ChangeLog }{}, Fences: struct{ flashgate.FenceStore }{},
		Sales: r.store, Orders: r.store, Reconciliation: struct{ flashgate.Reconciliation }{}, Publisher: struct{ worker.Sender }{},
	}
	refused := func(change func(*worker.GateConfig)) error {
		gate := good
		change(&gate)
		_, err := worker.New(worker.Config{Consumer: r.store, Ledger: r.store, Gate: &gate, Registry: prometheus.NewRegistry()})
		return err
	}
	if err := refused(func(*worker.GateConfig) {}); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*worker.GateConfig){
		"gate.stock":           func(c *worker.GateConfig) { c.Stock = nil },
		"gate.log":             func(c *worker.GateConfig) { c.Log = nil },
		"gate.fences":          func(c *worker.GateConfig) { c.Fences = nil },
		"gate.sales":           func(c *worker.GateConfig) { c.Sales = nil },
		"gate.orders":          func(c *worker.GateConfig) { c.Orders = nil },
		"gate.reconciliation":  func(c *worker.GateConfig) { c.Reconciliation = nil },
		"gate.publisher":       func(c *worker.GateConfig) { c.Publisher = nil },
		"gate.event_publisher": func(c *worker.GateConfig) { c.Events = struct{ flashgate.EventStore }{} },
		"gate.window":          func(c *worker.GateConfig) { c.Window = time.Hour },
		"gate.bound":           func(c *worker.GateConfig) { c.Bound = -1 },
	} {
		if e, ok := refused(change).(*flashgate.Error); !ok || e.Code != flashgate.CodeInvalid || e.Field != field {
			t.Errorf("New with a bad %s: %v", field, e)
		}
	}
}
