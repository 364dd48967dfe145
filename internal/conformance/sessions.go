package conformance

import (
	"testing"
	"time"

	"flashgate"
)

// SessionsFixture is what Sessions runs on. Stores are two views of one store, as
// two gateways have them; the same one twice when there is only one process.
type SessionsFixture struct {
	Stores [2]flashgate.SessionStore
	// Reopen is as in DatabaseFixture; nil when sessions do not outlive the process.
	Reopen func(t testing.TB) SessionsFixture
}

// Sessions is the suite of flashgate.SessionStore.
func Sessions(t *testing.T, open func(t *testing.T) SessionsFixture) {
	run(t, open, []testCase[SessionsFixture]{
		{name: "Create", run: sessionsCreate},
		{name: "Unknown", run: sessionsUnknown},
		{name: "AbsoluteEnd", run: sessionsAbsoluteEnd},
		{name: "OverAlready", run: sessionsOverAlready},
		{name: "IdleEnd", run: sessionsIdleEnd},
		{name: "UseKeepsAlive", run: sessionsUseKeepsAlive},
		{name: "Delete", run: sessionsDelete},
		{name: "DeleteOfUser", run: sessionsDeleteOfUser},
		{name: "Concurrent", run: sessionsConcurrent},
		{name: "Crash", run: sessionsCrash, needs: func(f SessionsFixture) bool { return f.Reopen != nil }},
	})
}

func newSession() flashgate.Session {
	return flashgate.Session{
		Key: flashgate.NewSessionToken().Key(), User: newUser(), Role: flashgate.RoleCustomer,
		Created: now(), Expires: now().Add(time.Hour), Idle: 30 * time.Minute,
	}
}

func createSession(t testing.TB, f SessionsFixture, s flashgate.Session) flashgate.Session {
	t.Helper()
	if err := f.Stores[0].CreateSession(t.Context(), s); err != nil {
		t.Fatalf("CreateSession: %v", err)
	}
	return s
}

// alive asks one store; anything but yes and CodeUnauthenticated fails the test.
func alive(t testing.TB, s flashgate.SessionStore, key flashgate.SessionKey) bool {
	t.Helper()
	_, err := s.Session(t.Context(), key)
	if err != nil && flashgate.ErrorCode(err) != flashgate.CodeUnauthenticated {
		t.Fatalf("Session: %v", err)
	}
	return err == nil
}

func wantAlive(t testing.TB, f SessionsFixture, s flashgate.Session, want bool, when string) {
	t.Helper()
	for i, store := range f.Stores {
		if alive(t, store, s.Key) != want {
			t.Errorf("%s: store %d says that the session is alive: %v, want %v", when, i, !want, want)
		}
	}
}

func sessionsCreate(t *testing.T, f SessionsFixture) {
	for _, role := range []flashgate.Role{flashgate.RoleCustomer, flashgate.RoleAdministrator} {
		want := newSession()
		want.Role = role
		createSession(t, f, want)
		for _, store := range f.Stores {
			got, err := store.Session(t.Context(), want.Key)
			if err != nil {
				t.Fatalf("Session: %v", err)
			}
			if got.Key != want.Key || got.User != want.User || got.Role != role || got.Idle != want.Idle ||
				!got.Created.Equal(want.Created) || !got.Expires.Equal(want.Expires) {
				t.Errorf("the session is %+v, want %+v", got, want)
			}
		}
	}
}

func sessionsUnknown(t *testing.T, f SessionsFixture) {
	wantAlive(t, f, newSession(), false, "never created")
	for _, key := range []flashgate.SessionKey{"", flashgate.SessionToken("").Key(), "not a key"} {
		wantAlive(t, f, flashgate.Session{Key: key}, false, "a made-up key")
	}
}

func sessionsAbsoluteEnd(t *testing.T, f SessionsFixture) {
	s := newSession()
	s.Expires = time.Now().Add(700 * time.Millisecond)
	createSession(t, f, s)
	other := createSession(t, f, newSession())
	used := false
	eventually(t, "a session in constant use ends at its absolute end", func() bool {
		ok := alive(t, f.Stores[0], s.Key)
		used = used || ok
		if !ok && time.Now().Before(s.Expires.Add(-50*time.Millisecond)) {
			t.Errorf("it ended %v early", time.Until(s.Expires))
		}
		return !ok
	})
	if !used {
		t.Error("it never was alive")
	}
	wantAlive(t, f, s, false, "ended")
	wantAlive(t, f, other, true, "another session")
}

func sessionsOverAlready(t *testing.T, f SessionsFixture) {
	s := newSession()
	s.Created, s.Expires = now().Add(-2*time.Hour), now().Add(-time.Hour)
	if err := f.Stores[0].CreateSession(t.Context(), s); err == nil {
		wantAlive(t, f, s, false, "ended before it was written")
	}
}

// sessionsIdleEnd looks at each of many sessions once, at growing distance,
// because a look is a use.
func sessionsIdleEnd(t *testing.T, f SessionsFixture) {
	const idle = 400 * time.Millisecond
	waiting := make([]flashgate.Session, 40)
	made := make([]time.Time, len(waiting))
	for i := range waiting {
		waiting[i] = newSession()
		waiting[i].Idle = idle
		made[i] = time.Now()
		createSession(t, f, waiting[i])
	}
	fresh := newSession()
	fresh.Idle = idle
	wantAlive(t, f, createSession(t, f, fresh), true, "at once")
	tick := time.NewTicker(idle / 4)
	defer tick.Stop()
	for i := range waiting {
		<-tick.C
		if alive(t, f.Stores[i%2], waiting[i].Key) {
			continue
		}
		if since := time.Since(made[i]); since < idle*9/10 {
			t.Errorf("a session ended after %v, with an idle time of %v", since, idle)
		}
		wantAlive(t, f, waiting[i], false, "ended")
		return
	}
	t.Fatalf("no session ended in %v, with an idle time of %v", time.Since(made[0]), idle)
}

// sessionsUseKeepsAlive uses a session for longer than its idle time. A machine
// that stalls for that long has ended it by right; then it is tried again.
func sessionsUseKeepsAlive(t *testing.T, f SessionsFixture) {
	const idle = time.Second
	eventually(t, "a session in use stays", func() bool {
		s := newSession()
		s.Idle = idle
		createSession(t, f, s)
		begun := time.Now()
		last := begun
		tick := time.NewTicker(idle / 10)
		defer tick.Stop()
		for i := 0; time.Since(begun) < 2*idle; i++ {
			<-tick.C
			ok := alive(t, f.Stores[i%2], s.Key)
			if gap := time.Since(last); gap > idle*8/10 {
				t.Logf("the machine stalled for %v", gap)
				return false
			}
			if !ok {
				t.Fatalf("a session that is used every %v ended after %v", idle/10, time.Since(begun))
			}
			last = time.Now()
		}
		return true
	})
}

func sessionsDelete(t *testing.T, f SessionsFixture) {
	s, other := createSession(t, f, newSession()), createSession(t, f, newSession())
	wantAlive(t, f, s, true, "before") // and now in every cache
	for range 2 {
		if err := f.Stores[1].DeleteSession(t.Context(), s.Key); err != nil {
			t.Fatalf("DeleteSession: %v", err)
		}
		wantAlive(t, f, s, false, "deleted")
	}
	wantAlive(t, f, other, true, "another session")
	if err := f.Stores[0].DeleteSession(t.Context(), newSession().Key); err != nil {
		t.Errorf("DeleteSession of an unknown key: %v", err)
	}
}

func sessionsDeleteOfUser(t *testing.T, f SessionsFixture) {
	var mine []flashgate.Session
	user := newUser()
	for range 3 {
		s := newSession()
		s.User = user
		mine = append(mine, createSession(t, f, s))
		wantAlive(t, f, s, true, "before")
	}
	other := createSession(t, f, newSession())
	for range 2 {
		if err := f.Stores[0].DeleteSessionsOf(t.Context(), user); err != nil {
			t.Fatalf("DeleteSessionsOf: %v", err)
		}
		for _, s := range mine {
			wantAlive(t, f, s, false, "deleted")
		}
	}
	wantAlive(t, f, other, true, "another user's")
	s := newSession()
	s.User = user
	wantAlive(t, f, createSession(t, f, s), true, "a later login of the user")
}

// sessionsConcurrent: once a delete has returned, no reader finds the session.
func sessionsConcurrent(t *testing.T, f SessionsFixture) {
	concurrently(20, func(i int) {
		s := newSession()
		if err := f.Stores[0].CreateSession(t.Context(), s); err != nil {
			t.Errorf("CreateSession: %v", err)
			return
		}
		for j := range 4 {
			if _, err := f.Stores[j%2].Session(t.Context(), s.Key); err != nil {
				t.Errorf("Session: %v", err)
			}
		}
		if err := f.Stores[i%2].DeleteSession(t.Context(), s.Key); err != nil {
			t.Errorf("DeleteSession: %v", err)
		}
		for j := range 4 {
			_, err := f.Stores[j%2].Session(t.Context(), s.Key)
			wantCode(t, err, flashgate.CodeUnauthenticated, "Session after DeleteSession")
		}
	})
}

func sessionsCrash(t *testing.T, f SessionsFixture) {
	s, gone := createSession(t, f, newSession()), createSession(t, f, newSession())
	if err := f.Stores[0].DeleteSession(t.Context(), gone.Key); err != nil {
		t.Fatalf("DeleteSession: %v", err)
	}
	f = f.Reopen(t)
	wantAlive(t, f, s, true, "after the crash")
	wantAlive(t, f, gone, false, "after the crash")
}
