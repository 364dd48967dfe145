package sqlite

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed sql/*.sql
var files embed.FS

var (
	schema  = mustRead("sql/schema.sql")
	queries = mustLoad("sql/stock.sql", "sql/queue.sql", "sql/ledger.sql", "sql/shop.sql", "sql/removal.sql")
)

func mustRead(name string) string {
	b, err := files.ReadFile(name)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// mustLoad reads the statements of the embedded files by the name in the comment
// above each. It runs at start, so a mistake in a file cannot hide.
func mustLoad(names ...string) map[string]string {
	out := map[string]string{}
	for _, file := range names {
		for _, part := range strings.Split(mustRead(file), "-- name: ")[1:] {
			name, text, ok := strings.Cut(part, "\n")
			// The driver keeps a statement compiled only if nothing follows its end, not even
			// a line break; it would take it for a script, and compile it at each call.
			name, text = strings.TrimSpace(name), strings.TrimSpace(text)
			if _, twice := out[name]; !ok || twice || text == "" {
				panic(fmt.Sprintf("sqlite: %s: statement %q is empty or there twice", file, name))
			}
			out[name] = text
		}
	}
	return out
}

func query(name string) string {
	q, ok := queries[name]
	if !ok {
		panic("sqlite: no statement is named " + name)
	}
	return q
}
