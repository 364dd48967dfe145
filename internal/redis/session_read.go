package redis

import (
	"context"
	"errors"
	"strconv"
	"time"

	"flashgate"
	"flashgate/internal/gather"

	goredis "github.com/redis/go-redis/v9"
)

var sessionRead = mustScript("session_read")

// readsAtOnce bounds the reads that travel together.
const readsAtOnce = 128

// aFew is how many calls of a kind may be under way without making the next one wait for a
// round trip that it can share.
const aFew = 4

// reads asks for sessions. In the second in which everybody presses the button each brings
// another session, which no cache can have: so what gathers while others are under way
// travels in one script. In a Cluster keys of one script must lie in one slot, so there
// each is a call of its own.
type reads struct {
	store *Store
	group *gather.Group[*sessionCall]
}

func newReads(s *Store) *reads {
	r := &reads{store: s}
	r.group = gather.New(gather.Config[*sessionCall]{Run: r.together, Most: readsAtOnce, AtOnce: aFew})
	return r
}

// sessionCall is one request that waits.
type sessionCall struct {
	key     flashgate.SessionKey
	session flashgate.Session
	left    time.Duration // it lives without another use
	err     error
	done    chan struct{}
}

// read returns a session and how long it lives without another use. It is
// CodeUnauthenticated when there is none.
func (r *reads) read(ctx context.Context, key flashgate.SessionKey) (flashgate.Session, time.Duration, error) {
	const op = "redis.Session"
	if err := ctx.Err(); err != nil {
		return flashgate.Session{}, 0, unavailable(op, context.Cause(ctx))
	}
	c := &sessionCall{key: key, done: make(chan struct{})}
	if _, cluster := r.store.client.(*goredis.ClusterClient); cluster {
		go r.together([]*sessionCall{c})
	} else {
		r.group.Join(c)
	}
	select {
	case <-c.done:
		return c.session, c.left, c.err
	case <-ctx.Done():
		return flashgate.Session{}, 0, unavailable(op, context.Cause(ctx))
	}
}

// together reads a batch. It is nobody's request: who leaves does not end the read of the
// others.
func (r *reads) together(batch []*sessionCall) {
	const op = "redis.Session"
	ctx, cancel := context.WithTimeout(context.Background(), r.store.cfg.Timeout)
	defer cancel()
	keys := make([]string, len(batch))
	for i, c := range batch {
		keys[i] = r.store.sessionKey(c.key)
	}
	replies, err := sessionRead.run(ctx, r.store.client, keys).Slice()
	if err == nil && len(replies) != len(batch) {
		err = errReply
	}
	for i, c := range batch {
		if err != nil {
			c.err = unavailable(op, err)
		} else {
			c.session, c.left, c.err = readSession(op, c.key, replies[i])
		}
		close(c.done)
	}
}

func readSession(op string, key flashgate.SessionKey, reply any) (flashgate.Session, time.Duration, error) {
	if reply == nil {
		return flashgate.Session{}, 0, flashgate.Errorf(flashgate.CodeUnauthenticated, op, "Log in first.")
	}
	fields, _ := reply.([]any)
	ses, left, err := decodeSession(key, fields)
	if err != nil {
		return flashgate.Session{}, 0, &flashgate.Error{Code: flashgate.CodeInternal, Op: op, Err: err}
	}
	return ses, left, nil
}

func decodeSession(key flashgate.SessionKey, reply []any) (flashgate.Session, time.Duration, error) {
	ses := flashgate.Session{Key: key}
	if len(reply) != 6 {
		return ses, 0, errors.New("a session has six fields")
	}
	var text [5]string
	for i := range text {
		text[i], _ = reply[i].(string)
	}
	created, err1 := strconv.ParseInt(text[2], 10, 64)
	expires, err2 := strconv.ParseInt(text[3], 10, 64)
	idle, err3 := strconv.ParseInt(text[4], 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return ses, 0, err
	}
	left, _ := reply[5].(int64)
	ses.User, ses.Role = flashgate.UserID(text[0]), flashgate.Role(text[1])
	ses.Created, ses.Expires = time.UnixMilli(created), time.UnixMilli(expires)
	ses.Idle = time.Duration(idle) * time.Millisecond
	return ses, time.Duration(left) * time.Millisecond, nil
}
