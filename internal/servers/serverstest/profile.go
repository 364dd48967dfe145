package serverstest

import (
	"os"
	"testing"
	"time"
)

// BrowserProfile is an empty folder for the data of a browser. Processes of a browser write
// for a moment after it has ended, so it is removed until it is gone, for at most 10 s.
func BrowserProfile(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "flashgate-browser-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for end := time.After(10 * time.Second); ; {
			err := os.RemoveAll(dir)
			if err == nil {
				return
			}
			select {
			case <-tick.C:
			case <-end:
				t.Error(err)
				return
			}
		}
	})
	return dir
}
