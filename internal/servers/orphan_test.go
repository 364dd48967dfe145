package servers_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"testing"

	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// orphanEnv makes this test binary start servers, tell which, and wait to be killed.
const orphanEnv = "FLASHGATE_SERVERS_ORPHAN"

type orphans struct {
	Dirs      []string
	Processes []servers.Process
}

func orphan() {
	redis, err := servers.StartRedis(servers.RedisConfig{})
	if err != nil {
		panic(err)
	}
	rabbit, err := servers.StartRabbitMQ(servers.RabbitMQConfig{})
	if err != nil {
		panic(err)
	}
	err = json.NewEncoder(os.Stdout).Encode(orphans{
		Dirs:      []string{redis.Dir(), rabbit.Dir()},
		Processes: append(redis.Processes(), rabbit.Processes()...),
	})
	if err != nil {
		panic(err)
	}
	select {}
}

// A killed test leaves no process, and its folders go when the next server starts.
func TestServersDieWithAKilledParent(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), orphanEnv+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var left orphans
	err = json.NewDecoder(out).Decode(&left)
	for _, id := range left.Processes {
		if !id.Alive() {
			t.Errorf("%s does not run before its parent ends", id.Name)
		}
	}
	if e := errors.Join(err, cmd.Process.Kill()); e != nil {
		t.Fatal(e)
	}
	_ = cmd.Wait()
	if len(left.Processes) != 3 {
		t.Errorf("%d processes", len(left.Processes))
	}
	for _, id := range left.Processes {
		eventually(t, id.Name+" has ended", func() error {
			if id.Alive() {
				return errAlive
			}
			return nil
		})
	}
	for _, dir := range left.Dirs {
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
		eventually(t, "no process of "+dir, func() error { return noProcessOf(dir) })
	}
	other := serverstest.OwnRedis(t, servers.RedisConfig{})
	for _, dir := range left.Dirs {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the folder of a killed process is there: %v", err)
		}
	}
	if _, err := os.Stat(other.Dir()); err != nil {
		t.Error(err)
	}
}

var errAlive = errors.New("it is alive")

// A pid alone is no identity: the kernel gives it out again.
func TestAProcessIsMoreThanAPid(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	real := r.Processes()[0]
	for name, other := range map[string]servers.Process{
		"other start": {Name: "x", PID: real.PID, Start: real.Start + "0"},
		"no start":    {Name: "x", PID: real.PID},
		"init":        {Name: "x", PID: 1, Start: real.Start},
		"zero":        {},
	} {
		if other.Alive() {
			t.Errorf("%s is alive", name)
		}
		if err := other.Terminate(0); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !real.Alive() {
		t.Fatal("the server was ended through another's identity")
	}
	if err := real.Terminate(0); err != nil { // no time to end in good order: killed
		t.Error(err)
	}
	if real.Alive() {
		t.Error("it runs after Terminate")
	}
	if err := r.Start(); err != nil { // a server that ended by itself starts again
		t.Error(err)
	}
}

func TestDetachNeedsAFolder(t *testing.T) {
	t.Parallel()
	_, redis := servers.StartRedis(servers.RedisConfig{Detach: true})
	_, rabbit := servers.StartRabbitMQ(servers.RabbitMQConfig{Detach: true})
	_, maria := servers.StartMariaDB(servers.MariaDBConfig{Detach: true})
	for _, err := range []error{redis, rabbit, maria} {
		if err == nil {
			t.Error("started without a folder")
		}
	}
}
