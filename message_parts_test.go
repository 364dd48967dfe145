package flashgate_test

import (
	"fmt"
	"strings"
	"testing"

	"flashgate"
)

// One bad reservation, whatever is wrong with it, never takes its neighbours down; the
// error names the field, and the record is kept as it came.
func TestDecodeSplit(t *testing.T) {
	t.Parallel()
	whole := fixedMessage(4)
	body, err := flashgate.EncodeMessage(whole)
	if err != nil {
		t.Fatal(err)
	}
	second := fmt.Sprintf(`{"order":%q,"user":"u<&>1","units":2,"at":1790000000000}`, whole.Reservations[1].Order)
	if !strings.Contains(string(body), second) {
		t.Fatalf("%s is not in %s", second, body)
	}
	for name, c := range map[string]struct{ old, new, field, words string }{
		"no units left":     {`"units":2`, `"units":0`, "units", "must be between 1 and 1000"},
		"negative units":    {`"units":2`, `"units":-2`, "units", "must be between 1 and 1000"},
		"units in words":    {`"units":2`, `"units":"two"`, "units", "must be a whole number, not string"},
		"units in halves":   {`"units":2`, `"units":2.5`, "units", "must be a whole number, not number 2.5"},
		"endless units":     {`"units":2`, `"units":` + strings.Repeat("2", 10_000), "units", "…"},
		"no units":          {`"units":2,`, ``, "units", "is missing"},
		"no user":           {`"user":"u<&>1",`, ``, "user", "is missing"},
		"an empty user":     {`u<&>1`, ``, "user", "must be 1 to 128 bytes"},
		"a long user":       {`u<&>1`, strings.Repeat("u", 1_000_000), "user", "must be 1 to 128 bytes"},
		"no order":          {`"order"`, `"Order"`, "order", "is missing"},
		"no time":           {`,"at":1790000000000`, ``, "at", "is missing"},
		"another sale":      {"1.000001", "9.000001", "order", `is of sale "9", the message of sale "1"`},
		"an unknown member": {`"units":2`, `"units":2,"gift":true`, "gift", "is not known here"},
		"a repeated member": {`"units":2`, `"units":2,"units":2`, "reservation", "is not in canonical form"},
		"white space":       {`"units":2`, `"units": 2`, "reservation", "is not in canonical form"},
		"no object":         {second, `7`, "reservation", "is not an object"},
		"nothing":           {second, `null`, "order", "is missing"},
	} {
		damaged := strings.Replace(second, c.old, c.new, 1)
		if damaged == second {
			t.Fatalf("%s: %q is not in it", name, c.old)
		}
		m, bad, err := flashgate.DecodeSplit([]byte(strings.Replace(string(body), second, damaged, 1)))
		if err != nil || len(bad) != 1 || len(m.Reservations) != 3 {
			t.Errorf("%s: %d good, %d bad, %v; want 3 and 1", name, len(m.Reservations), len(bad), err)
			continue
		}
		for i, r := range append(whole.Reservations[:1:1], whole.Reservations[2:]...) {
			if m.Reservations[i] != r {
				t.Errorf("%s: good %d is %+v, want %+v", name, i, m.Reservations[i], r)
			}
		}
		if string(bad[0].Raw) != damaged {
			t.Errorf("%s: kept as %.200q, want %.200q", name, bad[0].Raw, damaged)
		}
		wantInvalid(t, name, bad[0].Err, c.field, c.words)
	}

	// Twice the same order: the first stands for both.
	m, bad, err := flashgate.DecodeSplit([]byte(strings.Replace(string(body), "1.000003", "1.000000", 1)))
	if err != nil || len(bad) != 0 || len(m.Reservations) != 3 {
		t.Errorf("an order twice: %+v, %+v, %v", m, bad, err)
	}
}

// Of a message that cannot be read at all, the error names what is missing or wrong.
func TestDecodeSplitRefuses(t *testing.T) {
	t.Parallel()
	full := `{"v":1,"sale":"1","epoch":7,"reservations":[{}]}`
	for name, c := range map[string]struct{ body, field, words string }{
		"empty":                {"", "message", "is not an order message"},
		"not JSON":             {"hello", "message", "is not an order message"},
		"no object":            {"[]", "message", "is not an order message"},
		"null":                 {"null", "v", "is missing"},
		"no version":           {`{"sale":"1","epoch":7,"reservations":[{}]}`, "v", "is missing"},
		"the next version":     {`{"v":2,"market":"1","epoch":"seven"}`, "v", "is 2; this program reads version 1"},
		"no sale":              {`{"v":1,"epoch":7,"reservations":[{}]}`, "sale", "is missing"},
		"a bad sale":           {strings.Replace(full, `"1"`, `"a b"`, 1), "sale", "must be 1 to 32 characters"},
		"no epoch":             {`{"v":1,"sale":"1","reservations":[{}]}`, "epoch", "is missing"},
		"a negative epoch":     {strings.Replace(full, `7`, `-7`, 1), "epoch", "must be a whole number that is not negative"},
		"no reservations":      {`{"v":1,"sale":"1","epoch":7}`, "reservations", "must be 1 to 1024, not 0"},
		"no list":              {strings.Replace(full, `[{}]`, `{}`, 1), "reservations", "must be a list"},
		"too many":             {strings.Replace(full, `{}`, `{}`+strings.Repeat(`,{}`, 1024), 1), "reservations", "must be 1 to 1024, not 1025"},
		"an unknown member":    {strings.Replace(full, `7,`, `7,"`+strings.Repeat("x", 1000)+`":1,`, 1), strings.Repeat("x", 100) + "…", "is not known here"},
		"other order":          {`{"sale":"1","v":1,"epoch":7,"reservations":[{}]}`, "message", "is not in canonical form"},
		"between two parts":    {strings.Replace(full, `{}`, `{}, {}`, 1), "message", "is not in canonical form"},
		"behind it":            {full + "\n", "message", "is not in canonical form"},
		"a fence with parts":   {strings.Replace(full, `}]}`, `}],"fence":true}`, 1), "fence", "carries no reservations"},
		"a fence out of order": {`{"v":1,"sale":"1","fence":true,"epoch":7}`, "message", "is a fence that is not in canonical form"},
	} {
		m, bad, err := flashgate.DecodeSplit([]byte(c.body))
		if len(m.Reservations) != 0 || m.Fence || len(bad) != 0 {
			t.Errorf("%s: it was read as %+v, %+v", name, m, bad)
		}
		wantInvalid(t, name, err, c.field, c.words)
	}
	if _, _, err := flashgate.DecodeSplit(make([]byte, flashgate.MaxMessageBytes+1)); flashgate.ErrorCode(err) != flashgate.CodeTooLarge {
		t.Errorf("one byte too many: %v", err)
	}
}

func wantInvalid(t *testing.T, name string, err error, field, words string) {
	t.Helper()
	e, ok := err.(*flashgate.Error)
	if !ok || e.Code != flashgate.CodeInvalid || e.Field != field || !strings.Contains(e.Message, words) || len(e.Error()) > 400 {
		t.Errorf("%s: %.500v; want CodeInvalid on the field %q with %q", name, err, field, words)
	}
}
