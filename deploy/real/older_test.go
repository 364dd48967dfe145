package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"flashgate"
)

// backToOlderAOF gives Redis the files that it had some purchases ago, as a crash
// before a sync, or a replica that lagged, would.
func backToOlderAOF(t *testing.T, s *site) {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "redis")
	must(t, s.redis.Pause()) // so that the copy is of one moment
	out, err := exec.Command("cp", "-a", s.redis.Dir(), copied).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	sale := flashgate.SaleID("crowd-7")
	must(t, s.redis.Resume())
	before, err := s.gate.View(t.Context(), sale)
	must(t, err)
	eventually(t, "some more is sold", func() bool {
		v, err := s.gate.View(t.Context(), sale)
		return err == nil && v.Free+10 <= before.Free || err == nil && v.Free == 0
	})
	must(t, s.redis.Kill())
	must(t, s.redis.Wipe())
	entries, err := os.ReadDir(copied)
	must(t, err)
	for _, e := range entries {
		out, err := exec.Command("cp", "-a", filepath.Join(copied, e.Name()), s.redis.Dir()).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v", out, err)
		}
	}
	must(t, s.redis.Start())
}
