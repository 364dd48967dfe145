package redis

import (
	"context"
	"embed"

	goredis "github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var files embed.FS

// script is one verb: an embedded file that is called by its digest.
type script struct{ *goredis.Script }

// mustScript reads lua/<name>.lua, with lua/head.lua in front of it where the verb
// works on an open sale. It runs at start, so a missing file cannot hide.
func mustScript(names ...string) script {
	src := ""
	for _, name := range names {
		b, err := files.ReadFile("lua/" + name + ".lua")
		if err != nil {
			panic(err)
		}
		src += string(b) + "\n"
	}
	return script{goredis.NewScript(src)}
}

// run calls the script by its digest, and sends it whole when the server has
// forgotten it (NOSCRIPT): after a restart, a fail-over or a flush.
func (sc script) run(ctx context.Context, c goredis.Scripter, keys []string, args ...any) *goredis.Cmd {
	return sc.Run(ctx, c, keys, args...)
}
