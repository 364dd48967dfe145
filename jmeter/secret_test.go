package jmeter_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// commandLines are those of all processes, which every user of the machine can read.
func commandLines(t *testing.T) (lines []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d processes, %v", len(files), err)
	}
	for _, name := range files {
		if b, err := os.ReadFile(name); err == nil { // one that has just ended has none
			lines = append(lines, strings.ReplaceAll(string(b), "\x00", " "))
		}
	}
	return lines
}

// silent is a server that takes connections and says nothing; asked is told of the first.
func silent(t *testing.T) (address string, asked <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	first := make(chan struct{})
	go func() {
		var conns []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			if conns = append(conns, c); len(conns) == 1 {
				close(first)
			}
		}
		for _, c := range conns {
			c.Close()
		}
	}()
	return l.Addr().String(), first
}

// Passwords and the load-test key are on no command line while JMeter and the verdict
// run, and in nothing that is printed.
func TestSecrets(t *testing.T) {
	t.Parallel()
	address, asked := silent(t)
	args := filepath.Join(t.TempDir(), "args")
	cmd, folder := prepared(t.Context(), t, []string{"run", "flash-sale"}, "USERS=5", "SALE=one", "USERS_CSV="+usersFile(t, fiveUsers), "REPORT=no",
		"TARGET="+newShop(t, shop{}), "FLASHGATE_LOADTEST_KEY=the-key", "JMETER="+fake(t, `echo "$all" >`+args+"\n"+nobodyCame),
		"MYSQL_DSN=root:the-password@tcp("+address+")/shop", "REDIS_URL=redis://:the-password@"+address, "AMQP_URL=amqp://root:the-password@"+address)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-asked: // by the verdict
	case err := <-ended:
		t.Fatalf("it ended by itself: %v\n%s", err, said.String())
	}
	for _, line := range commandLines(t) {
		if strings.Contains(line, "the-password") {
			t.Errorf("a command line is %q", line)
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-ended
	if text := read(t, args); strings.Contains(text, "the-key") {
		t.Errorf("JMeter's is %q", text)
	}
	for _, secret := range []string{"the-key", "the-password"} {
		if strings.Contains(said.String(), secret) {
			t.Errorf("it says\n%s", said.String())
		}
		wantNowhere(t, folder, secret)
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
