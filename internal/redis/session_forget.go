package redis

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"flashgate"
)

var sessionDrop = mustScript("session_drop")

// Names: session-caches is the register; the two channels carry
//
//	session-drop           "<cache> <number> <hash> <hash> …"   to every cache
//	session-ack:<cache>    "<number> <member> <number> <member> …"   to the one that asked
//
// A member is a cache in one of its terms, <cache>:<term>. Session keys never are on
// a channel.

func (c *sessionCache) register() string            { return c.store.cfg.Prefix + ":session-caches" }
func (c *sessionCache) dropChannel() string         { return c.store.cfg.Prefix + ":session-drop" }
func (c *sessionCache) ackChannel(id string) string { return c.store.cfg.Prefix + ":session-ack:" + id }

// forget returns when no cache trusts what it knows of these sessions, which must be
// gone from Redis when it is called. An error means that ctx ended before.
func (c *sessionCache) forget(ctx context.Context, keys []flashgate.SessionKey) error {
	over := time.NewTimer(sessionTrust)
	defer over.Stop()
	hs := hashes(keys)
	c.drop(hs)
	c.watch.begin(c.keepWatching)
	number := rand.Text()
	d := c.waiting.add(number)
	defer c.waiting.remove(number)
	others, known := c.publish(ctx, number, hs)
	for !known || !c.waiting.all(d, others) {
		select {
		case <-d.changed:
		case <-over.C:
			return nil // whatever was read before has run out everywhere
		case <-ctx.Done():
			return fmt.Errorf("the session is deleted; a cache may still know it for %v: %w", sessionTrust, context.Cause(ctx))
		}
	}
	return nil
}

// publish tells the caches and gives the members to wait for. They are not known
// when the register is incomplete, or the server away.
func (c *sessionCache) publish(ctx context.Context, number string, hs []uint32) (members []string, known bool) {
	message := make([]byte, 0, 64+9*len(hs))
	message = append(message, c.id+" "+number...)
	for _, h := range hs {
		message = append(message, ' ')
		message = strconv.AppendUint(message, uint64(h), 16)
	}
	ctx, cancel := context.WithTimeout(ctx, sessionTrust)
	defer cancel()
	reply, err := sessionDrop.run(ctx, c.store.client, []string{c.register()},
		c.dropChannel(), message, sessionLease.Milliseconds()).Slice()
	if err != nil || len(reply) == 0 {
		return nil, false
	}
	for _, m := range reply[1:] {
		if name, _ := m.(string); !strings.HasPrefix(name, c.id+":") {
			members = append(members, name)
		}
	}
	complete, _ := reply[0].(int64)
	return members, complete == 1
}

// dropped reads a message of another cache. It answers where and what to answer.
func (c *sessionCache) dropped(message string) (asker, number string, ok bool) {
	words := strings.Fields(message)
	if len(words) < 2 {
		return "", "", false
	}
	hs := make([]uint32, 0, len(words)-2)
	for _, w := range words[2:] {
		h, err := strconv.ParseUint(w, 16, 32)
		if err != nil {
			return "", "", false // not answered: who asked waits until trust has run out
		}
		hs = append(hs, uint32(h))
	}
	c.drop(hs)
	return words[0], words[1], words[0] != c.id
}

// acked reads a message to this cache.
func (c *sessionCache) acked(message string) {
	for pair := range slices.Chunk(strings.Fields(message), 2) {
		if len(pair) == 2 {
			c.waiting.ack(pair[0], pair[1])
		}
	}
}
