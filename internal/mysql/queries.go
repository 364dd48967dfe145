package mysql

import (
	"embed"
	"fmt"
	"regexp"
	"strings"
)

//go:embed sql/*.sql sql/migrations/*.sql
var files embed.FS

var queries = mustLoad("sql/sales.sql", "sql/orders.sql", "sql/shop.sql", "sql/removal.sql")

// mustLoad reads the statements of the embedded files by the name in the comment
// above each. It runs at start, so a mistake in a file cannot hide.
func mustLoad(names ...string) map[string]string {
	out := map[string]string{}
	for _, file := range names {
		b, err := files.ReadFile(file)
		if err != nil {
			panic(err)
		}
		for _, part := range strings.Split(string(b), "-- name: ")[1:] {
			name, text, ok := strings.Cut(part, "\n")
			name, text = strings.TrimSpace(name), strings.TrimSpace(text)
			if _, twice := out[name]; !ok || twice || text == "" {
				panic(fmt.Sprintf("mysql: %s: statement %q is empty or there twice", file, name))
			}
			out[name] = strings.TrimSuffix(text, ";")
		}
	}
	return out
}

func query(name string) string {
	q, ok := queries[name]
	if !ok {
		panic("mysql: no statement is named " + name)
	}
	return q
}

var (
	oneRow  = regexp.MustCompile(`VALUES (\([?, ]+\))`)
	oneList = regexp.MustCompile(`IN \(\?\)`)
)

const oneMore = " UNION ALL SELECT ?"

// manyRows is an INSERT for n rows.
func manyRows(name string, n int) string {
	q := query(name)
	at := oneRow.FindStringSubmatchIndex(q)
	if at == nil {
		panic("mysql: statement " + name + " has no row")
	}
	row := q[at[2]:at[3]]
	return q[:at[2]] + row + strings.Repeat(", "+row, n-1) + q[at[3]:]
}

// union is a statement that names n values.
func union(name string, n int) string {
	before, after, ok := strings.Cut(query(name), oneMore)
	if !ok {
		panic("mysql: statement " + name + " has no union")
	}
	return before + strings.Repeat(oneMore, n) + after
}

// lists is a statement whose lists IN (?) have as many places as given, in order. An
// empty list holds nothing.
func lists(name string, sizes ...int) string {
	i := 0
	return oneList.ReplaceAllStringFunc(query(name), func(string) string {
		n := sizes[i]
		i++
		if n == 0 {
			return "IN (NULL)"
		}
		return "IN (?" + strings.Repeat(", ?", n-1) + ")"
	})
}
