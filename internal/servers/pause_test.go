package servers_test

import (
	"context"
	"testing"
	"time"

	"flashgate/internal/servers/serverstest"
)

// From the moment that Pause returns, nothing that is asked is answered: not by the threads
// of a busy server either, whose first one has yet to hear of the signal.
func TestAPausedServerAnswersNobody(t *testing.T) {
	t.Parallel()
	m := serverstest.OwnMariaDB(t)
	db := openDB(t, m.DSN(""))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	const busy = 8
	for range busy {
		go func() {
			for ctx.Err() == nil {
				_, _ = db.ExecContext(ctx, "DO 1")
			}
			done <- struct{}{}
		}()
	}
	for range 50 {
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Pause(); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if _, err := conn.ExecContext(short, "DO 2"); err == nil {
			t.Error("answered")
		}
		cancel()
		if err := m.Resume(); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	stop()
	for range busy {
		<-done
	}
}
