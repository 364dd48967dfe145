package flashgate_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"flashgate"
)

func keyring(t testing.TB, keys ...string) *flashgate.Keyring {
	t.Helper()
	if len(keys) == 0 {
		keys = []string{flashgate.NewKey()}
	}
	k, err := flashgate.ParseKeyring(strings.Join(keys, ","))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var claim = flashgate.Claim{Sale: "1", Session: "s1", User: "u1"}

func TestOpenGivesTheOrderThatWasMinted(t *testing.T) {
	t.Parallel()
	k := keyring(t)
	now := time.Now()
	path, order := k.Mint(claim, now.Add(time.Minute))
	got, expires, err := k.Open(path, claim, now)
	if err != nil || got != order {
		t.Fatalf("Open = %q, %v; want %q", got, err, order)
	}
	if want := now.Add(time.Minute).Truncate(time.Millisecond); !expires.Equal(want) {
		t.Errorf("expires %v, want %v", expires, want)
	}
	if order.Sale() != "1" {
		t.Errorf("the order is of sale %q", order.Sale())
	}
	if err := k.VerifyOrder(order, "u1"); err != nil {
		t.Errorf("VerifyOrder: %v", err)
	}
	if err := k.VerifyOrder(order, "u2"); flashgate.ErrorCode(err) != flashgate.CodeNotFound {
		t.Errorf("another user's order: %v", err)
	}
}

func TestOpenRefusesEverythingElseAlike(t *testing.T) {
	t.Parallel()
	k := keyring(t)
	now := time.Now()
	path, order := k.Mint(claim, now.Add(time.Minute))
	flip := func(i int) string {
		raw, err := base64.RawURLEncoding.DecodeString(path)
		if err != nil {
			t.Fatal(err)
		}
		raw[i] ^= 1
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	otherPath, _ := keyring(t).Mint(claim, now.Add(time.Minute))
	cases := map[string]struct {
		path  string
		claim flashgate.Claim
		now   time.Time
	}{
		"another user":         {path, flashgate.Claim{Sale: "1", Session: "s1", User: "u2"}, now},
		"another session":      {path, flashgate.Claim{Sale: "1", Session: "s2", User: "u1"}, now},
		"another sale":         {path, flashgate.Claim{Sale: "2", Session: "s1", User: "u1"}, now},
		"moved boundary":       {path, flashgate.Claim{Sale: "1", Session: "s", User: "1u1"}, now},
		"expired":              {path, claim, now.Add(time.Minute)},
		"empty":                {"", claim, now},
		"cut":                  {path[:len(path)-1], claim, now},
		"extended":             {path + "A", claim, now},
		"padded":               {path + "=", claim, now},
		"other key":            {otherPath, claim, now},
		"key id changed":       {flip(0), claim, now},
		"nonce changed":        {flip(4), claim, now},
		"expiry changed":       {flip(27), claim, now},
		"MAC changed":          {flip(43), claim, now},
		"an order id":          {string(order), claim, now},
		"not base64":           {strings.Repeat("!", len(path)), claim, now},
		"unused bits set":      {path[:len(path)-1] + nextLetter(path[len(path)-1]), claim, now},
		"standard base64 form": {strings.NewReplacer("-", "+", "_", "/").Replace(path) + "=", claim, now},
	}
	var first string
	for name, c := range cases {
		_, _, err := k.Open(c.path, c.claim, c.now)
		if flashgate.ErrorCode(err) != flashgate.CodePathInvalid {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if first == "" {
			first = err.Error()
		}
		if err.Error() != first {
			t.Errorf("%s: answers %q, others %q", name, err, first)
		}
	}
}

// nextLetter changes only bits that the last character does not use.
func nextLetter(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)^1])
}

func TestRotation(t *testing.T) {
	t.Parallel()
	old, next := flashgate.NewKey(), flashgate.NewKey()
	now := time.Now()
	path, order := keyring(t, old).Mint(claim, now.Add(time.Minute))
	both := keyring(t, next, old)
	if got, _, err := both.Open(path, claim, now); err != nil || got != order {
		t.Errorf("a token of the old key: %q, %v", got, err)
	}
	if err := both.VerifyOrder(order, "u1"); err != nil {
		t.Errorf("an order of the old key: %v", err)
	}
	if _, _, err := keyring(t, next).Open(path, claim, now); flashgate.ErrorCode(err) != flashgate.CodePathInvalid {
		t.Errorf("a token of a retired key: %v", err)
	}
	fresh, _ := both.Mint(claim, now.Add(time.Minute))
	if _, _, err := keyring(t, next).Open(fresh, claim, now); err != nil {
		t.Errorf("the newest key does not sign: %v", err)
	}
}

func TestParseKeyringSaysWhatToDo(t *testing.T) {
	t.Parallel()
	k := flashgate.NewKey()
	for text, want := range map[string]string{
		"":          "at least one key",
		" , ":       "at least one key",
		"short":     "key 1 is not the base64url of 32 bytes",
		k + ",x":    "key 2 is not the base64url of 32 bytes",
		k + " " + k: "key 2 is there twice",
	} {
		if _, err := flashgate.ParseKeyring(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseKeyring(%q) = %v, want %q", text, err, want)
		}
	}
}

func TestIDsAreStrict(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "a b", "a.b", "ä", strings.Repeat("a", 33), "a/b", "a\x00"} {
		if _, err := flashgate.ParseSaleID(s); flashgate.ErrorCode(err) != flashgate.CodeInvalid {
			t.Errorf("ParseSaleID(%q) = %v", s, err)
		}
	}
	for _, s := range []string{"", "a b", "a\n", "ü", strings.Repeat("a", 129)} {
		if _, err := flashgate.ParseUserID(s); flashgate.ErrorCode(err) != flashgate.CodeInvalid {
			t.Errorf("ParseUserID(%q) = %v", s, err)
		}
	}
	_, order := keyring(t).Mint(claim, time.Now())
	good := string(order)
	for _, s := range []string{"", "1", "1.", good[1:], good + "A", good + "=", "a b" + good[1:], strings.Replace(good, ".", "..", 1)} {
		if _, err := flashgate.ParseOrderID(s); flashgate.ErrorCode(err) != flashgate.CodeNotFound {
			t.Errorf("ParseOrderID(%q) = %v", s, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	k := keyring(f)
	path, _ := k.Mint(claim, time.Now().Add(time.Hour))
	f.Add(path)
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if _, _, err := k.Open(s, claim, time.Now()); err == nil && s != path {
			t.Errorf("a made-up token passed: %q", s)
		}
	})
}

func FuzzParseOrderID(f *testing.F) {
	_, order := keyring(f).Mint(claim, time.Now())
	f.Add(string(order))
	f.Fuzz(func(t *testing.T, s string) {
		p, err := flashgate.ParseOrderID(s)
		if err == nil && !strings.HasPrefix(s, string(p.Sale)+".") {
			t.Errorf("%q parsed as of sale %q", s, p.Sale)
		}
	})
}
