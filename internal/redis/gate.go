package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"flashgate"

	goredis "github.com/redis/go-redis/v9"
)

// What every script of the gate answers for a sale that is not open.
const replyClosed = "closed"

// errReply is a reply that a script does not give.
var errReply = errors.New("not a reply of this script")

// saleKey is a key of a sale. What they hold is in lua/README.md. It has no Prefix:
// gateways, shop and worker must agree on it without a setting.
func saleKey(sale flashgate.SaleID, part string) string {
	return "flashgate:{" + string(sale) + "}:" + part
}

// saleKeys are the keys of a sale as lua/head.lua names them.
func saleKeys(sale flashgate.SaleID) []string {
	return []string{saleKey(sale, "head"), saleKey(sale, "held"), saleKey(sale, "outbox"), saleKey(sale, "leased"), saleKey(sale, "buyers")}
}

// verb runs a script of the gate. go-redis repeats it when a reply was lost: all verbs
// but Reserve leave that to it, and each says why it may.
func (s *Store) verb(ctx context.Context, op string, sc script, sale flashgate.SaleID, args ...any) (any, error) {
	return answer(op, sc.run(ctx, s.client, saleKeys(sale), args...))
}

// answer is the reply of a script, CodeSaleClosed when the sale is not open.
func answer(op string, cmd *goredis.Cmd) (any, error) {
	reply, err := cmd.Result()
	if err != nil {
		return nil, unavailable(op, err)
	}
	if reply == replyClosed {
		return nil, flashgate.Errorf(flashgate.CodeSaleClosed, op, "The sale is being reconciled.")
	}
	return reply, nil
}

// list reads an array of strings.
func list(op string, reply any) ([]string, error) {
	values, ok := reply.([]any)
	if !ok {
		return nil, unexpected(op, reply)
	}
	out := make([]string, len(values))
	for i, v := range values {
		if out[i], ok = v.(string); !ok {
			return nil, unexpected(op, v)
		}
	}
	return out, nil
}

func unexpected(op string, reply any) error {
	return &flashgate.Error{Code: flashgate.CodeInternal, Op: op, Err: fmt.Errorf("redis: %w: %.100q", errReply, fmt.Sprint(reply))}
}

// numbers reads decimal numbers into ns, which is as long as texts.
func numbers(op string, texts []string, ns ...*int64) error {
	if len(texts) != len(ns) {
		return unexpected(op, texts)
	}
	for i, text := range texts {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return unexpected(op, texts)
		}
		*ns[i] = n
	}
	return nil
}

// orders are ids as arguments, behind those that come first.
func orders(ids []flashgate.OrderID, first ...any) []any {
	for _, id := range ids {
		first = append(first, string(id))
	}
	return first
}
