package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"flashgate/internal/servers"
)

// database is the one that MYSQL_DSN names.
const database = "flashgate"

// stopTimeout is how long a server may take to end in good order.
const stopTimeout = 60 * time.Second

var errNotRunning = errors.New("not all services run; `services start` starts them")

// start starts what does not run. What it started is in the state file before the
// next server starts, so that stop ends it even if a later one fails.
func start(ctx context.Context, dir string, out io.Writer) error {
	s, err := readState(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		old := s.Services[name]
		if old.runs() {
			continue
		}
		// A signal is obeyed here, between two servers: one that is half started is not in
		// the state file yet.
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		// What is left of it, an epmd without its node, would be in the way.
		if err := end(old); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "starting %s\n", name)
		started, err := startService(ctx, name, filepath.Join(dir, name), old.Port)
		if err != nil {
			return err
		}
		s.Services[name] = started
		if err := s.write(dir); err != nil {
			return errors.Join(err, end(started))
		}
	}
	if err := replace(filepath.Join(dir, envName), []byte(s.env())); err != nil {
		return err
	}
	fmt.Fprint(out, s.env())
	return nil
}

// startService starts one server with the port it had before, if that is free.
func startService(ctx context.Context, name, dir string, port int) (service, error) {
	if port != 0 && !servers.PortFree(port) {
		port = 0
	}
	switch name {
	case "redis":
		r, err := servers.StartRedis(servers.RedisConfig{Dir: dir, Port: port, Detach: true})
		if err != nil {
			return service{}, err
		}
		return service{URL: r.URL(), Port: r.Port(), Processes: r.Processes()}, nil
	case "rabbitmq":
		r, err := servers.StartRabbitMQ(servers.RabbitMQConfig{Dir: dir, Port: port, Detach: true})
		if err != nil {
			return service{}, err
		}
		return service{URL: r.URL(), Port: r.Port(), Processes: r.Processes()}, nil
	default:
		m, err := servers.StartMariaDB(servers.MariaDBConfig{Dir: dir, Port: port, Detach: true})
		if err != nil {
			return service{}, err
		}
		if err := m.CreateDatabase(context.WithoutCancel(ctx), database); err != nil {
			return service{}, errors.Join(err, m.Close())
		}
		return service{URL: m.DSN(database), Port: m.Port(), Processes: m.Processes()}, nil
	}
}

// end ends the processes of a service that still run, the server's own first.
func end(s service) error {
	for _, p := range slices.Backward(s.Processes) {
		if err := p.Terminate(stopTimeout); err != nil {
			return err
		}
	}
	return nil
}

// stop keeps the ports in the state file: the next start gives the same URLs.
func stop(dir string, wipe bool, out io.Writer) error {
	s, err := readState(dir)
	if err != nil {
		return err
	}
	for _, name := range slices.Backward(names) {
		one := s.Services[name]
		if one.runs() {
			fmt.Fprintf(out, "stopping %s\n", name)
		}
		if err := end(one); err != nil {
			return err
		}
		one.Processes = nil
		s.Services[name] = one
	}
	// The URLs lead nowhere now.
	if err := os.Remove(filepath.Join(dir, envName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if !wipe {
		return s.write(dir)
	}
	for _, name := range append(slices.Clone(names), stateName) {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// status fails when not all run, so that a script can ask.
func status(dir string, out io.Writer) error {
	s, err := readState(dir)
	if err != nil {
		return err
	}
	all := true
	for _, name := range names {
		one := s.Services[name]
		for _, p := range one.Processes {
			word := "runs"
			if !p.Alive() {
				word = "has ended"
			}
			fmt.Fprintf(out, "# %s (pid %d) %s\n", p.Name, p.PID, word)
		}
		if !one.runs() {
			all = false
			fmt.Fprintf(out, "# %s does not run\n", name)
		}
	}
	if !all {
		return errNotRunning
	}
	fmt.Fprint(out, s.env())
	return nil
}
