package jmeter_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// commandLines are those of all processes, which every user of the machine can read.
func commandLines(t *testing.T) (lines []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		t.Errorf("%d processes, %v", len(files), err)
	}
	for _, name := range files {
		if b, err := os.ReadFile(name); err == nil { // one that has just ended has none
			lines = append(lines, strings.ReplaceAll(string(b), "\x00", " "))
		}
	}
	return lines
}

// exposed watches the command lines until stop is called, and gives those that have one of
// the secrets.
func exposed(t *testing.T, secrets ...string) (stop func() []string) {
	t.Helper()
	var found []string
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			for _, line := range commandLines(t) {
				if slices.ContainsFunc(secrets, func(s string) bool { return strings.Contains(line, s) }) && !slices.Contains(found, line) {
					found = append(found, line)
				}
			}
			select {
			case <-tick.C:
			case <-end:
				return
			}
		}
	}()
	return func() []string {
		close(end)
		<-ended
		return found
	}
}

// The load-test key is not on JMeter's command line, and neither it nor a server's password
// is in anything that is printed or kept.
func TestSecrets(t *testing.T) {
	t.Parallel()
	args := filepath.Join(t.TempDir(), "args")
	r := load(t, []string{"run", "-wait", "0s", "flash-sale"}, "USERS=5", "REPORT=no", "TARGET="+newShop(t, shop{}), "FLASHGATE_LOADTEST_KEY=the-key",
		"FLASHGATE_DATA="+shopFolder(t), "JMETER="+fake(t, `echo "$all" >`+args+"\n"+nobodyCame))
	if r.exit != 1 {
		t.Errorf("exit %d\n%s%s", r.exit, r.log, r.out)
	}
	if text := read(t, args); text == "" || strings.Contains(text, "the-key") {
		t.Errorf("JMeter's is %q", text)
	}
	servers := load(t, []string{"run", "flash-sale"}, "USERS=5", "REPORT=no", "TARGET="+newShop(t, shop{}), "FLASHGATE_LOADTEST_KEY=the-key",
		"MYSQL_DSN=root:the-password@tcp(127.0.0.1:1)/shop", "REDIS_URL=redis://:the-password@127.0.0.1:1", "AMQP_URL=amqp://root:the-password@127.0.0.1:1")
	if servers.exit != 2 {
		t.Errorf("no servers: exit %d\n%s", servers.exit, servers.log)
	}
	for _, secret := range []string{"the-key", "the-password"} {
		for _, r := range []ran{r, servers} {
			if strings.Contains(r.out+r.log, secret) {
				t.Errorf("it says\n%s%s", r.log, r.out)
			}
			wantNowhere(t, r.resultsDir, secret)
		}
	}
}

// wantNowhere fails the test when a file of a folder has the secret.
func wantNowhere(t *testing.T, folder, secret string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(name string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && strings.Contains(read(t, name), secret) {
			t.Errorf("%s has %q", name, secret)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
