package signedurl_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"flashgate/internal/signedurl"
)

// The key of the vectors is the bytes 0 to 31.
const vectorKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

// vector is a row of the table in docs/signed_url.md: method, host, path, query, prefix,
// flags, signature.
type vector [7]string

// vectors reads the table.
func vectors(t *testing.T) (rows []vector) {
	t.Helper()
	text, err := os.ReadFile("../../docs/signed_url.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| method | host | path | query | prefix | flags | signature |\n|---|---|---|---|---|---|---|\n")
	for line := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 9 {
			break
		}
		var v vector
		for i := range v {
			v[i] = strings.Trim(cells[i+1], " `")
		}
		rows = append(rows, v)
	}
	if len(rows) < 7 {
		t.Fatalf("only %d rows were found", len(rows))
	}
	return rows
}

// byHand signs as the table of the documentation says, in no more than the standard
// library: it is what a shop in another language does.
func byHand(t *testing.T, flags byte, bits byte, texts ...string) string {
	t.Helper()
	key, err := base64.RawURLEncoding.DecodeString(vectorKey)
	if err != nil {
		t.Fatal(err)
	}
	said := binary.BigEndian.AppendUint64([]byte{flags, bits}, uint64(start.Add(time.Hour).UnixMilli()))
	mac := hmac.New(sha256.New, key)
	for _, text := range append([]string{"flashgate signature", "signed url", string(said)}, texts...) {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(text))))
		mac.Write([]byte(text))
	}
	id := sha256.Sum256(append([]byte("flashgate key id\x00"), key...))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(append(id[:4:4], said...)))
}

func TestVectorsOfTheDocs(t *testing.T) {
	t.Parallel()
	keys := keyring(t, vectorKey)
	for _, v := range vectors(t) {
		method, host, path, query, prefix := v[0], v[1], v[2], v[3], v[4]
		terms := signedurl.Terms{Method: method, AnyHost: v[5] == "1" || v[5] == "3", AnyQuery: v[5] == "2" || v[5] == "3"}
		var bits byte
		client := netip.MustParseAddr("198.51.100.1")
		if prefix != "" {
			terms.Address = netip.MustParsePrefix(prefix)
			client = terms.Address.Addr()
			bits = byte(terms.Address.Bits())
		}
		address := "https://" + host + path + "?"
		if query != "" {
			address += query + "&"
		}
		address += "signature=" + v[6]
		if signed := sign(t, keys, strings.TrimSuffix("https://"+host+path+"?"+query, "?"), terms); signed != address {
			t.Errorf("signed %s\nwant   %s", signed, address)
		}
		bound := []string{method, host, path, query, prefix}
		if terms.AnyHost {
			bound[1] = ""
		}
		if terms.AnyQuery {
			bound[3] = ""
		}
		if got := byHand(t, v[5][0]-'0', bits, bound...); got != v[6] {
			t.Errorf("by hand %s\nwant    %s", got, v[6])
		}
		f := request(t, address)
		f.Method, f.Address = method, client
		if got := (signedurl.Policy{}).Verify(keys, f, start); got.Status != signedurl.Valid {
			t.Errorf("%s: %s", address, got.Status)
		}
	}
}

// What a later version may mean by other flags is not known to this one: it refuses them,
// well signed as they are.
func TestUnknownFlags(t *testing.T) {
	t.Parallel()
	keys := keyring(t, vectorKey)
	for flags, want := range map[byte]signedurl.Status{0: signedurl.Valid, 4: signedurl.Invalid, 0x80: signedurl.Invalid} {
		f := request(t, "https://shop.example/a?signature="+byHand(t, flags, 0, "GET", "shop.example", "/a", "", ""))
		if got := (signedurl.Policy{}).Verify(keys, f, start); got.Status != want {
			t.Errorf("flags %d: %s, want %s", flags, got.Status, want)
		}
	}
}

// Whoever signs elsewhere may sign nothing by mistake. A path without a form and a client
// without an address are nothing to the MAC, and still nobody's.
func TestNothingIsSigned(t *testing.T) {
	t.Parallel()
	keys := keyring(t, vectorKey)
	f := request(t, "https://shop.example/a//b?signature="+byHand(t, 0, 0, "GET", "shop.example", "", "", ""))
	if got := (signedurl.Policy{}).Verify(keys, f, start); got.Status != signedurl.Invalid {
		t.Errorf("no path: %s", got.Status)
	}
	f = request(t, "https://shop.example/a?signature="+byHand(t, 0, 24, "GET", "shop.example", "/a", "", ""))
	f.Address = netip.Addr{}
	if got := (signedurl.Policy{}).Verify(keys, f, start); got.Status != signedurl.Invalid {
		t.Errorf("no address: %s", got.Status)
	}
}
