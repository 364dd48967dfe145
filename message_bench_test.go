package flashgate_test

import (
	"testing"

	"flashgate"
)

// batch is the most that a gate sends in one message.
const batch = 256

func BenchmarkEncodeMessage(b *testing.B) {
	m := fixedMessage(batch)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := flashgate.EncodeMessage(m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeMessage(b *testing.B) {
	body, err := flashgate.EncodeMessage(fixedMessage(batch))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if m, err := flashgate.DecodeMessage(body); err != nil || len(m.Reservations) != batch {
			b.Fatal(err)
		}
	}
}
