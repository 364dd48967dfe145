package memory_test

import (
	"testing"

	"flashgate"
	"flashgate/internal/conformance"
	"flashgate/internal/memory"
)

func TestLimiter(t *testing.T) {
	t.Parallel()
	conformance.Limiter(t, func(t *testing.T) conformance.LimiterFixture {
		s := open(t, memory.Config{})
		return conformance.LimiterFixture{Stores: [2]flashgate.Limiter{s, s}}
	})
}

func TestMarks(t *testing.T) {
	t.Parallel()
	conformance.Marks(t, func(t *testing.T) conformance.MarksFixture {
		s := open(t, memory.Config{})
		return conformance.MarksFixture{Stores: [2]flashgate.Marks{s, s}}
	})
}

func TestOneTime(t *testing.T) {
	t.Parallel()
	conformance.OneTime(t, func(t *testing.T) conformance.OneTimeFixture {
		s := open(t, memory.Config{})
		return conformance.OneTimeFixture{Stores: [2]flashgate.OneTime{s, s}}
	})
}
