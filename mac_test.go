package flashgate_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"flashgate"
)

// What is signed is what Sign's contract says, however long and by however many at once.
func TestMACIsTheContracts(t *testing.T) {
	t.Parallel()
	text := flashgate.NewKey()
	secret, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := flashgate.ParseKeyring(text)
	if err != nil {
		t.Fatal(err)
	}
	want := func(fields ...string) []byte {
		h := hmac.New(sha256.New, secret)
		for _, f := range append([]string{"flashgate signature"}, fields...) {
			h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(f))))
			h.Write([]byte(f))
		}
		return h.Sum(nil)
	}
	var many sync.WaitGroup
	for i := range 8 {
		many.Go(func() {
			for j := range 200 {
				field := strings.Repeat(fmt.Sprint(i, j), j*i)
				if got := keys.Sign("a", field, "").MAC; string(got[:]) != string(want("a", field, "")) {
					t.Errorf("the MAC of %d bytes is another one", len(field))
				}
			}
		})
	}
	many.Wait()
}

// A token that is no good costs no allocation, whatever is wrong with it.
func TestOpenAllocations(t *testing.T) {
	keys, err := flashgate.ParseKeyring(flashgate.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	claim := flashgate.Claim{Sale: "1", Session: "s", User: "u"}
	now := time.Now()
	good, _ := keys.Mint(claim, now.Add(time.Minute))
	old, _ := keys.Mint(claim, now.Add(-time.Minute))
	for what, token := range map[string]string{
		"empty": "", "short": good[1:], "long": good + "A", "very long": strings.Repeat(good, 100), "no base64": "*" + good[1:],
		"an unknown key": "AAAA" + good[4:], "another MAC": good[:30] + "A" + good[31:], "expired": old,
	} {
		if n := testing.AllocsPerRun(100, func() {
			if _, _, err := keys.Open(token, claim, now); flashgate.ErrorCode(err) != flashgate.CodePathInvalid {
				t.Fatalf("%s: %v", what, err)
			}
		}); n > 0 {
			t.Errorf("%s: %.0f allocations", what, n)
		}
	}
}
