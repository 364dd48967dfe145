package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"flashgate"
)

// There is no cache in front of the table: the read is one look-up in a file that
// is in memory anyway, and so a logout is felt at once by every process.

// CreateSession writes a session and sweeps some that are over.
func (s *Store) CreateSession(ctx context.Context, ses flashgate.Session) error {
	const op = "sqlite.CreateSession"
	if ses.Key == "" || ses.User == "" || ses.Idle <= 0 {
		return flashgate.Invalid(op, "session", "needs a key, a user and an idle time")
	}
	_, err := write(ctx, s, op, func(t *txn) (int64, error) {
		at := now()
		if _, err := t.exec("session_sweep", at); err != nil {
			return 0, err
		}
		return t.exec("session_put", ses.Key, ses.User, ses.Role, ses.Created.UnixMilli(), ses.Expires.UnixMilli(), ses.Idle.Milliseconds(), at)
	})
	return err
}

// Session reads a session and, not more often than ten times in the idle time,
// writes that it was used.
func (s *Store) Session(ctx context.Context, key flashgate.SessionKey) (flashgate.Session, error) {
	const op = "sqlite.Session"
	over := flashgate.Errorf(flashgate.CodeUnauthenticated, op, "Log in first.")
	var ses flashgate.Session
	var created, expires, idle, seen int64
	err := s.row(ctx, "session", key).Scan(&ses.Key, &ses.User, &ses.Role, &created, &expires, &idle, &seen)
	if errors.Is(err, sql.ErrNoRows) {
		return flashgate.Session{}, over
	}
	if err != nil {
		return flashgate.Session{}, unavailable(op, err)
	}
	at := now()
	if at >= expires || at >= seen+idle {
		return flashgate.Session{}, over
	}
	if at > seen+idle/10 {
		// Not waited for: a request does not pay for the note of its own visit.
		_ = s.write.send(ctx, &job{ctx: context.WithoutCancel(ctx), done: make(chan error, 1), run: func(t *txn) error {
			_, err := t.exec("session_seen", key, at)
			return err
		}})
	}
	ses.Created, ses.Expires, ses.Idle = toTime(created), toTime(expires), time.Duration(idle)*time.Millisecond
	return ses, nil
}

// DeleteSession ends a session.
func (s *Store) DeleteSession(ctx context.Context, key flashgate.SessionKey) error {
	_, err := write(ctx, s, "sqlite.DeleteSession", func(t *txn) (int64, error) { return t.exec("session_delete", key) })
	return err
}

// DeleteSessionsOf ends all sessions of a user.
func (s *Store) DeleteSessionsOf(ctx context.Context, user flashgate.UserID) error {
	_, err := write(ctx, s, "sqlite.DeleteSessionsOf", func(t *txn) (int64, error) { return t.exec("session_delete_of", user) })
	return err
}

var _ flashgate.SessionStore = (*Store)(nil)
