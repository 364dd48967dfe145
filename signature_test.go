package flashgate_test

import (
	"testing"

	"flashgate"
)

func TestSignature(t *testing.T) {
	t.Parallel()
	first, second := flashgate.NewKey(), flashgate.NewKey()
	old, err := flashgate.ParseKeyring(first)
	if err != nil {
		t.Fatal(err)
	}
	both, err := flashgate.ParseKeyring(second + "," + first)
	if err != nil {
		t.Fatal(err)
	}
	s := old.Sign("a", "b", "c")
	if !old.Verify(s, "a", "b", "c") || !both.Verify(s, "a", "b", "c") {
		t.Error("it does not verify")
	}
	if old.Verify(both.Sign("a", "b", "c"), "a", "b", "c") {
		t.Error("it verifies with a key that is not in the ring")
	}
	for name, fields := range map[string][]string{
		"another purpose": {"x", "b", "c"}, "another field": {"a", "b", "x"}, "a field more": {"a", "b", "c", ""},
		"a field less": {"a", "b"}, "fields joined": {"a", "bc"}, "fields cut elsewhere": {"a", "bc", ""}, "the purpose cut elsewhere": {"", "ab", "c"},
	} {
		if old.Verify(s, fields[0], fields[1:]...) {
			t.Errorf("%s: it verifies", name)
		}
	}
	for i := range len(s.MAC) {
		broken := s
		broken.MAC[i] ^= 1
		if old.Verify(broken, "a", "b", "c") {
			t.Errorf("byte %d of the MAC does not count", i)
		}
	}
	broken := s
	broken.Key[0] ^= 1
	if old.Verify(broken, "a", "b", "c") {
		t.Error("the id of the key does not count")
	}
}
