package flashgate_test

import (
	"testing"
	"time"

	"flashgate"
)

// What docs/hidden_path.md says about tokens:
//
//	go test -run '^$' -bench 'Mint|OpenPath' -benchmem .
func BenchmarkMint(b *testing.B) {
	keys, claim := benchKeys(b)
	expires := time.Now().Add(time.Minute)
	b.ReportAllocs()
	for b.Loop() {
		keys.Mint(claim, expires)
	}
	perSecond(b)
}

func BenchmarkOpenPath(b *testing.B) {
	keys, claim := benchKeys(b)
	now := time.Now()
	path, _ := keys.Mint(claim, now.Add(time.Minute))
	other := claim
	other.Session = "another"
	for name, claim := range map[string]flashgate.Claim{"valid": claim, "invalid": other} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := keys.Open(path, claim, now); (err == nil) != (name == "valid") {
					b.Fatal(err)
				}
			}
			perSecond(b)
		})
	}
}

func benchKeys(b *testing.B) (*flashgate.Keyring, flashgate.Claim) {
	keys, err := flashgate.ParseKeyring(flashgate.NewKey())
	if err != nil {
		b.Fatal(err)
	}
	return keys, flashgate.Claim{Sale: "1", Session: string(flashgate.NewSessionToken().Key()), User: "13800000000"}
}

func perSecond(b *testing.B) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
}

func BenchmarkVerifyOrder(b *testing.B) {
	keys, claim := benchKeys(b)
	_, order := keys.Mint(claim, time.Now().Add(time.Minute))
	for name, user := range map[string]flashgate.UserID{"valid": flashgate.UserID(claim.User), "invalid": "13900000000"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := keys.VerifyOrder(order, user); (err == nil) != (name == "valid") {
					b.Fatal(err)
				}
			}
			perSecond(b)
		})
	}
}
