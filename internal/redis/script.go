package redis

import (
	"context"
	"embed"
	"errors"

	goredis "github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var files embed.FS

// script is one verb: an embedded file that is called by its digest.
type script struct{ *goredis.Script }

// mustScript reads lua/<name>.lua, one file behind the other; the last is the verb.
// It runs at start, so a missing file cannot hide.
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

// call is one script of several that travel together.
type call struct {
	script script
	keys   []string
	args   []any
}

// runAll runs calls in one round trip, in order, and returns the reply to each. A
// server that has forgotten a script answers NOSCRIPT in its place and goes on with
// the next. So everything from the first such answer on is sent again, whole: then the
// last run of every call is in order, and its reply is the one that counts. That is for
// verbs only that may be repeated, and for keys of one slot.
func runAll(ctx context.Context, c goredis.UniversalClient, calls []call) []*goredis.Cmd {
	replies := pipeline(ctx, c, calls, (*goredis.Script).EvalSha)
	for i, reply := range replies {
		if err := reply.Err(); errors.Is(err, goredis.ErrNoScript) || goredis.HasErrorPrefix(err, "NOSCRIPT") {
			return append(replies[:i], pipeline(ctx, c, calls[i:], (*goredis.Script).Eval)...)
		}
	}
	return replies
}

type runner func(sc *goredis.Script, ctx context.Context, c goredis.Scripter, keys []string, args ...any) *goredis.Cmd

func pipeline(ctx context.Context, c goredis.UniversalClient, calls []call, run runner) []*goredis.Cmd {
	p := c.Pipeline()
	replies := make([]*goredis.Cmd, len(calls))
	for i, one := range calls {
		replies[i] = run(one.script.Script, ctx, p, one.keys, one.args...)
	}
	_, _ = p.Exec(ctx) // each reply keeps its error
	return replies
}
