// Command caddy is the server that the bench measures: Caddy with its standard modules,
// flashgate's, and caddy-ratelimit, all in one binary, so that every row runs the same
// code but for the lines of its Caddyfile.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "flashgate/caddymodule"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
	_ "github.com/mholt/caddy-ratelimit"
)

func main() { caddycmd.Main() }
