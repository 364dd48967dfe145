package app

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// Placeholder is the name of the placeholder that a setting is, if it is one and nothing
// else; else empty.
func Placeholder(text string) string {
	if len(text) < 3 || text[0] != '{' || text[len(text)-1] != '}' || strings.ContainsAny(text[1:len(text)-1], `{}\`) {
		return ""
	}
	return text[1 : len(text)-1]
}

// Setting is what a setting with placeholders in it says of a request; an unknown one is
// empty. It is repl.ReplaceAll, without its cost for the usual setting, which is one
// placeholder and nothing else.
func Setting(repl *caddy.Replacer, text string) string {
	if name := Placeholder(text); name != "" {
		value, _ := repl.GetString(name)
		return value
	}
	return repl.ReplaceAll(text, "")
}
