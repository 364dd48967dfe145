package redis

import (
	"context"
	"errors"
	"time"

	"flashgate"

	goredis "github.com/redis/go-redis/v9"
)

var (
	sessionWrite  = mustScript("session_write")
	sessionDelete = mustScript("session_delete")
	sessionEnlist = mustScript("session_enlist")
)

// Keys: session:{key} is a hash that lives as long as the session; sessions:{user}
// is a sorted set of the user's keys by their absolute end. The two are in different
// slots of a Cluster, so they are written one after the other.

func (s *Store) sessionKey(key flashgate.SessionKey) string { return s.key("session", string(key)) }

func (s *Store) sessionsKey(user flashgate.UserID) string { return s.key("sessions", string(user)) }

// CreateSession writes a session. It is noted among its user's before it is there:
// a login that breaks off in between leaves a note too many, never a session that
// DeleteSessionsOf does not find.
func (s *Store) CreateSession(ctx context.Context, ses flashgate.Session) error {
	const op = "redis.CreateSession"
	if ses.Key == "" || ses.User == "" || ses.Idle <= 0 {
		return flashgate.Invalid(op, "session", "needs a key, a user and an idle time")
	}
	s.sessions.watch.begin(s.sessions.keepWatching)
	expires := ses.Expires.UnixMilli()
	if err := sessionEnlist.run(ctx, s.client, []string{s.sessionsKey(ses.User)}, string(ses.Key), expires).Err(); err != nil {
		return unavailable(op, err)
	}
	return unavailable(op, sessionWrite.run(ctx, s.client, []string{s.sessionKey(ses.Key)},
		string(ses.User), string(ses.Role), ses.Created.UnixMilli(), expires, milliseconds(ses.Idle)).Err())
}

// Session reads a session, from the local cache where that may be trusted.
func (s *Store) Session(ctx context.Context, key flashgate.SessionKey) (flashgate.Session, error) {
	if ses, ok := s.sessions.get(key); ok {
		return ses, nil
	}
	ticket := s.sessions.ticket(key) // before the read is sent
	ses, left, err := s.reads.read(ctx, key)
	if err != nil {
		return flashgate.Session{}, err
	}
	// A use that the cache answers is not written. With the twentieth that the script
	// leaves unwritten that makes a tenth.
	s.sessions.put(ticket, ses, min(left, ses.Idle/20))
	return ses, nil
}

// DeleteSession ends a session. It returns when no gateway can know it any more,
// which takes a round trip between the gateways, and a second when one of them does
// not answer. If ctx ends before that it is CodeUnavailable, although the session is
// gone: say it again.
func (s *Store) DeleteSession(ctx context.Context, key flashgate.SessionKey) error {
	const op = "redis.DeleteSession"
	user, err := sessionDelete.run(ctx, s.client, []string{s.sessionKey(key)}).Text()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return unavailable(op, err)
	}
	if err := s.sessions.forget(ctx, []flashgate.SessionKey{key}); err != nil {
		return unavailable(op, err)
	}
	if user != "" {
		// Only tidiness: the note goes away by itself at the session's end.
		_ = s.client.ZRem(ctx, s.sessionsKey(flashgate.UserID(user)), string(key)).Err()
	}
	return nil
}

// DeleteSessionsOf ends all sessions of a user; otherwise as DeleteSession. A note
// without a session stays: its session may be about to be written.
func (s *Store) DeleteSessionsOf(ctx context.Context, user flashgate.UserID) error {
	const op = "redis.DeleteSessionsOf"
	noted, err := s.client.ZRange(ctx, s.sessionsKey(user), 0, -1).Result()
	if err != nil {
		return unavailable(op, err)
	}
	if len(noted) == 0 {
		return nil
	}
	keys := make([]flashgate.SessionKey, len(noted))
	deleted := make([]*goredis.IntCmd, len(noted))
	_, err = s.client.Pipelined(ctx, func(p goredis.Pipeliner) error {
		for i, key := range noted {
			keys[i] = flashgate.SessionKey(key)
			deleted[i] = p.Unlink(ctx, s.sessionKey(keys[i]))
		}
		return nil
	})
	if err != nil {
		return unavailable(op, err)
	}
	if err := s.sessions.forget(ctx, keys); err != nil {
		return unavailable(op, err)
	}
	var tidy []any
	for i, key := range noted {
		if deleted[i].Val() > 0 {
			tidy = append(tidy, key)
		}
	}
	if len(tidy) > 0 {
		_ = s.client.ZRem(ctx, s.sessionsKey(user), tidy...).Err()
	}
	return nil
}

// milliseconds rounds up: nothing ends early, and nothing lives for zero, which
// Redis would refuse.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

var _ flashgate.SessionStore = (*Store)(nil)
