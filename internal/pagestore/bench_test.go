package pagestore_test

import (
	"fmt"
	"testing"

	"flashgate"
	"flashgate/internal/pagestore"
)

// BenchmarkGet finds a page in memory, without purges and with as many of other pages as
// a table keeps apart.
func BenchmarkGet(b *testing.B) {
	for _, purges := range []int{0, 1000} {
		b.Run(fmt.Sprint("purges=", purges), func(b *testing.B) {
			s := open(b, pagestore.Config{})
			for i := range purges {
				if err := s.Purge(b.Context(), flashgate.Purge{Kind: flashgate.PurgeURL, Value: fmt.Sprint("http://shop.example/", i)}); err != nil {
					b.Fatal(err)
				}
			}
			s.Set(b.Context(), fetched(s, url))
			b.ReportAllocs()
			for b.Loop() {
				if p, _ := s.Get(b.Context(), url); p == nil {
					b.Fatal("it is not there")
				}
			}
		})
	}
}
