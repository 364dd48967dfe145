package redis

import (
	"context"

	goredis "github.com/redis/go-redis/v9"
)

// once forbids go-redis to repeat a command whose reply was lost: for verbs that a
// repetition would change. Redirects of a Cluster are followed all the same: a node
// that redirects has done nothing.
type once struct{ *goredis.Cmd }

// NoRetry is asked by the client before each repetition.
func (once) NoRetry() bool { return true }

// processor is the part of a client that sends a command.
type processor interface {
	Process(ctx context.Context, cmd goredis.Cmder) error
}

// doOnce sends a command once; firstKey is the position of its first key.
func doOnce(ctx context.Context, c processor, firstKey int8, args ...any) *goredis.Cmd {
	cmd := once{goredis.NewCmd(ctx, args...)}
	cmd.SetFirstKeyPos(firstKey)
	_ = c.Process(ctx, cmd) // cmd keeps the error
	return cmd.Cmd
}

// onceScripter runs scripts once. That a script is sent whole after NOSCRIPT is no
// repetition: the server has done nothing.
type onceScripter struct{ goredis.UniversalClient }

func (c onceScripter) EvalSha(ctx context.Context, digest string, keys []string, args ...any) *goredis.Cmd {
	return c.eval(ctx, "evalsha", digest, keys, args)
}

func (c onceScripter) Eval(ctx context.Context, source string, keys []string, args ...any) *goredis.Cmd {
	return c.eval(ctx, "eval", source, keys, args)
}

func (c onceScripter) eval(ctx context.Context, command, text string, keys []string, args []any) *goredis.Cmd {
	all := []any{command, text, len(keys)}
	for _, key := range keys {
		all = append(all, key)
	}
	return doOnce(ctx, c.UniversalClient, 3, append(all, args...)...)
}
