package sqlite_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/sqlite"
)

// Sessions that many ask for at once are each given to who asked for it; one that is
// missing, over or deleted is nobody's.
func TestSessionsTogether(t *testing.T) {
	t.Parallel()
	s, err := sqlite.Open(filepath.Join(t.TempDir(), "f.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	const n = 300
	key := func(i int) flashgate.SessionKey { return flashgate.SessionToken(fmt.Sprint("token-", i)).Key() }
	now := time.Now()
	for i := range n {
		if i%3 == 0 {
			continue // was never there
		}
		ses := flashgate.Session{Key: key(i), User: flashgate.UserID(fmt.Sprint("u", i)), Role: flashgate.RoleCustomer, Created: now, Expires: now.Add(time.Hour), Idle: time.Hour}
		if i%3 == 1 && i%2 == 0 {
			ses.Expires = now.Add(-time.Minute)
		}
		if err := s.CreateSession(t.Context(), ses); err != nil {
			t.Fatal(err)
		}
		if i%7 == 0 {
			if err := s.DeleteSession(t.Context(), key(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	var wg sync.WaitGroup
	for range 4 {
		for i := range n {
			wg.Go(func() {
				ses, err := s.Session(t.Context(), key(i))
				there := i%3 == 2 && i%7 != 0 || i%3 == 1 && i%2 == 1 && i%7 != 0
				switch {
				case there && (err != nil || ses.Key != key(i) || ses.User != flashgate.UserID(fmt.Sprint("u", i))):
					t.Errorf("session %d is %+v, %v", i, ses, err)
				case !there && flashgate.ErrorCode(err) != flashgate.CodeUnauthenticated:
					t.Errorf("session %d: %v, want %s", i, err, flashgate.CodeUnauthenticated)
				}
			})
		}
	}
	wg.Wait()
}
