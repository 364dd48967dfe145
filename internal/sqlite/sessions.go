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

// sessionsAtOnce bounds the sessions that are read together, and sessionTimeout the time
// that takes.
const (
	sessionsAtOnce = 128
	sessionTimeout = 5 * time.Second
)

// sessionCall is one request that waits. What gathers while others are being read is read
// by one statement, after it was asked for: so no answer is older than its question.
type sessionCall struct {
	key flashgate.SessionKey
	row sessionRow
	err error
	// done is closed when the row is there, or the error: sql.ErrNoRows for no row.
	done chan struct{}
}

type sessionRow struct {
	session                      flashgate.Session
	created, expires, idle, seen int64
}

func scanSession(r scanner) (s sessionRow, err error) {
	err = r.Scan(&s.session.Key, &s.session.User, &s.session.Role, &s.created, &s.expires, &s.idle, &s.seen)
	return s, err
}

// readSessions answers calls that have gathered.
func (s *Store) readSessions(calls []*sessionCall) {
	ctx, cancel := context.WithTimeout(context.Background(), sessionTimeout)
	defer cancel()
	if len(calls) == 1 {
		calls[0].row, calls[0].err = scanSession(s.row(ctx, "session", calls[0].key))
		close(calls[0].done)
		return
	}
	keys := make([]flashgate.SessionKey, len(calls))
	for i, c := range calls {
		keys[i] = c.key
	}
	found, err := all(ctx, s, scanSession, "sessions", list(keys))
	rows := make(map[flashgate.SessionKey]sessionRow, len(found))
	for _, row := range found {
		rows[row.session.Key] = row
	}
	for _, c := range calls {
		row, there := rows[c.key]
		switch {
		case err != nil:
			c.err = err
		case !there:
			c.err = sql.ErrNoRows
		default:
			c.row = row
		}
		close(c.done)
	}
}

// Session reads a session and, not more often than ten times in the idle time,
// writes that it was used.
func (s *Store) Session(ctx context.Context, key flashgate.SessionKey) (flashgate.Session, error) {
	const op = "sqlite.Session"
	over := flashgate.Errorf(flashgate.CodeUnauthenticated, op, "Log in first.")
	c := &sessionCall{key: key, done: make(chan struct{})}
	s.sessions.Join(c)
	select {
	case <-c.done:
	case <-ctx.Done():
		return flashgate.Session{}, unavailable(op, context.Cause(ctx))
	}
	if errors.Is(c.err, sql.ErrNoRows) {
		return flashgate.Session{}, over
	}
	if c.err != nil {
		return flashgate.Session{}, unavailable(op, c.err)
	}
	row, ses := c.row, c.row.session
	at := now()
	if at >= row.expires || at >= row.seen+row.idle {
		return flashgate.Session{}, over
	}
	if at > row.seen+row.idle/10 {
		// Not waited for: a request does not pay for the note of its own visit.
		_ = s.write.send(ctx, &job{ctx: context.WithoutCancel(ctx), done: make(chan error, 1), run: func(t *txn) error {
			_, err := t.exec("session_seen", key, at)
			return err
		}})
	}
	ses.Created, ses.Expires, ses.Idle = toTime(row.created), toTime(row.expires), time.Duration(row.idle)*time.Millisecond
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
