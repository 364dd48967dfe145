package main_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// openSchema reads the published schema; formats count.
func openSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile("schema.json")
	must(t, err)
	return s
}

func validate(s *jsonschema.Schema, body string) error {
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// The examples of the schema and of the page are events, and what no event may be is
// refused.
func TestSchema(t *testing.T) {
	t.Parallel()
	s := openSchema(t)
	b, err := os.ReadFile("schema.json")
	must(t, err)
	var doc struct {
		Examples []json.RawMessage `json:"examples"`
	}
	must(t, json.Unmarshal(b, &doc))
	page, err := os.ReadFile("../../../docs/order-events.md")
	must(t, err)
	var shown []string
	for _, block := range strings.Split(string(page), "```json\n")[1:] {
		body, _, _ := strings.Cut(block, "```")
		shown = append(shown, body)
	}
	if len(doc.Examples) < 2 || len(shown) < 2 {
		t.Fatalf("%d examples in the schema, %d on the page", len(doc.Examples), len(shown))
	}
	for _, e := range doc.Examples {
		shown = append(shown, string(e))
	}
	for _, body := range shown {
		if err := validate(s, body); err != nil {
			t.Errorf("%s\n%v", body, err)
		}
	}

	const placed = `{"id":7,"kind":"order.placed","sale":"1","order":"1.abc","user":"u1","units":1,"seq":12,"at":"2026-01-02T03:04:05.678Z"}`
	const soldOut = `{"id":8,"kind":"sale.sold_out","sale":"1","units":0,"seq":12,"at":"2026-01-02T03:04:05Z"}`
	for what, c := range map[string]struct {
		base, old, new string
		ok             bool
	}{
		"an event":           {base: placed, ok: true},
		"sold out":           {base: soldOut, ok: true},
		"another member":     {placed, `"units"`, `"price":1,"units"`, true},
		"another kind":       {soldOut, "sold_out", "renamed", true},
		"no id":              {base: placed, old: `"id":7,`},
		"an id of zero":      {base: placed, old: `"id":7`, new: `"id":0`},
		"an id as text":      {base: placed, old: `"id":7`, new: `"id":"7"`},
		"no order":           {base: placed, old: `"order":"1.abc",`},
		"no user":            {base: placed, old: `"user":"u1",`},
		"an empty user":      {base: placed, old: `"u1"`, new: `""`},
		"no units":           {base: placed, old: `"units":1`, new: `"units":0`},
		"too many units":     {base: placed, old: `"units":1`, new: `"units":1001`},
		"another namespace":  {base: placed, old: "order.placed", new: "stock.placed"},
		"an hour elsewhere":  {base: placed, old: "05.678Z", new: "05.678+01:00"},
		"no such day":        {base: placed, old: "01-02T", new: "02-30T"},
		"an order of a sale": {base: soldOut, old: `"units"`, new: `"order":"1.abc","units"`},
		"a user of a sale":   {base: soldOut, old: `"units"`, new: `"user":"u1","units"`},
		"units of sold out":  {base: soldOut, old: `"units":0`, new: `"units":1`},
		"restocked by none":  {base: soldOut, old: "sold_out", new: "restocked"},
		"not of a sale":      {base: soldOut, old: `"sale":"1"`, new: `"sale":"a b"`},
	} {
		body := strings.Replace(c.base, c.old, c.new, 1)
		if c.old != "" && body == c.base {
			t.Fatalf("%s: nothing was changed", what)
		}
		if err := validate(s, body); (err == nil) != c.ok {
			t.Errorf("%s: %v, of %s", what, err, body)
		}
	}
}
