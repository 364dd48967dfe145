// Package naive is how the gate's work is done without any of flashgate's ideas: one round
// trip for each step of each request, and one transaction for each order. It is the bench's
// yardstick, written as a careful developer would write it from the manuals of go-redis,
// amqp091-go and database/sql, with their pools and without a round trip too many. The
// bench's Caddy links it; nothing else may import it.
//
// It keeps none of flashgate's promises: what it reserves and cannot publish is lost.
package naive

import (
	_ "embed"

	"github.com/redis/go-redis/v9"
)

//go:embed reserve.lua
var Script string

// Reserve is the script that decides one reservation. KEYS: sale, buyers. ARGV: user.
// Reply: 1 for held, 0 for sold out, 2 for bought already, 3 for closed.
var Reserve = redis.NewScript(Script)

// Keys of a sale, and of what belongs to one request.
func SaleKeys(sale string) []string {
	return []string{"naive:{" + sale + "}:sale", "naive:{" + sale + "}:buyers"}
}

// SessionKey is where the user of a cookie is.
func SessionKey(cookie string) string { return "naive:session:" + cookie }

// PathKey is where the user of a hidden path is.
func PathKey(token string) string { return "naive:path:" + token }

func limitKey(user string) string { return "naive:limit:" + user }

// Queue is the order queue.
const Queue = "naive.orders"
