package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"flashgate"
	"flashgate/internal/servers"
)

// backToOlderAOF gives Redis the files that it had some purchases ago, as a crash
// before a sync, or a replica that lagged, would.
func backToOlderAOF(t *testing.T, s *site, sale flashgate.SaleID) {
	t.Helper()
	copied := copyOf(t, s.redis)
	before, err := s.gate.View(t.Context(), sale)
	must(t, err)
	eventually(t, "some more is sold", func() bool {
		v, err := s.gate.View(t.Context(), sale)
		return err == nil && v.Free+10 <= before.Free || err == nil && v.Free == 0
	})
	putBack(t, s.redis, copied)
}

// copyOf copies the folder of a Redis as it is at one moment.
func copyOf(t *testing.T, r *servers.Redis) string {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "redis")
	must(t, r.Pause())
	out, err := exec.Command("cp", "-a", r.Dir(), copied).CombinedOutput()
	must(t, r.Resume())
	if err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return copied
}

// putBack kills Redis and starts it on a copy of its folder.
func putBack(t *testing.T, r *servers.Redis, copied string) {
	t.Helper()
	must(t, r.Kill())
	must(t, r.Wipe())
	entries, err := os.ReadDir(copied)
	must(t, err)
	for _, e := range entries {
		out, err := exec.Command("cp", "-a", filepath.Join(copied, e.Name()), r.Dir()).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v", out, err)
		}
	}
	must(t, r.Start())
}
