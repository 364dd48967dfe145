package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"flashgate/internal/servers"

	"github.com/gofrs/flock"
)

const (
	stateName = "state.json"
	envName   = "services.env"
	lockName  = "services.lock"
)

// The services, in the order of their start; stop goes backwards.
var names = []string{"redis", "rabbitmq", "mariadb"}

// state is what start leaves for status, stop and the next start.
type state struct {
	Services map[string]service `json:"services"`
}

// service is one server: where it is reached and which processes it has.
type service struct {
	URL       string            `json:"url"`
	Port      int               `json:"port"`
	Processes []servers.Process `json:"processes"`
}

// runs reports whether all processes of the service are alive.
func (s service) runs() bool {
	for _, p := range s.Processes {
		if !p.Alive() {
			return false
		}
	}
	return len(s.Processes) > 0
}

func readState(dir string) (state, error) {
	s := state{Services: map[string]service{}}
	b, err := os.ReadFile(filepath.Join(dir, stateName))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("%s: %w", filepath.Join(dir, stateName), err)
	}
	if s.Services == nil {
		s.Services = map[string]service{}
	}
	return s, nil
}

func (s state) write(dir string) error {
	b, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	return replace(filepath.Join(dir, stateName), append(b, '\n'))
}

// env is what a shell sources; a DSN holds brackets and must be quoted.
func (s state) env() string {
	var b strings.Builder
	for i, variable := range []string{"REDIS_URL", "AMQP_URL", "MYSQL_DSN"} {
		fmt.Fprintf(&b, "%s='%s'\n", variable, s.Services[names[i]].URL)
	}
	return b.String()
}

// replace writes a file as a whole or not at all.
func replace(path string, content []byte) error {
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// locked keeps two commands on the same folder from running at the same time: the
// second waits for the first.
func locked(dir string, f func() error) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	lock := flock.New(filepath.Join(dir, lockName))
	if err := lock.Lock(); err != nil {
		return err
	}
	return errors.Join(f(), lock.Close())
}
