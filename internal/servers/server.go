package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	startTimeout = 60 * time.Second
	pollInterval = 20 * time.Millisecond
	logTail      = 4 << 10 // bytes of the log in an error
)

// errPortTaken: between the choice of a port and the server's start somebody else
// took it.
var errPortTaken = errors.New("a port was taken meanwhile")

// part is one process of a server. ready is asked again and again until it returns
// nil; it gets the process, so that it can tell this server from a stranger on the
// same port.
type part struct {
	name    string
	command func() (command, error)
	ready   func(context.Context, Process) error
}

// server is what Redis, RabbitMQ and MariaDB have in common. Its methods may be
// called by several goroutines.
type server struct {
	name   string
	folder folder
	parts  []part // in the order of their start; the last one is the server itself

	mu      sync.Mutex
	running []*process
}

// Dir is the folder that holds the data and the log.
func (s *server) Dir() string { return s.folder.path }

func (s *server) logFile() string { return filepath.Join(s.folder.path, s.name+".log") }

// Log returns the end of the server's log, for error messages.
func (s *server) Log() string { return tail(s.logFile(), 0) }

// Processes are the processes that run now, the server's own last.
func (s *server) Processes() []Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []Process
	for _, p := range s.running {
		if p.alive() {
			ids = append(ids, p.id)
		}
	}
	return ids
}

// startFirst starts a new server. choosePorts is called before every try, or is nil
// when the caller named the port.
func (s *server) startFirst(choosePorts func() error) error {
	for try := 1; ; try++ {
		if choosePorts != nil {
			if err := choosePorts(); err != nil {
				return errors.Join(err, s.folder.remove())
			}
		}
		err := s.Start()
		if err == nil {
			return nil
		}
		if !errors.Is(err, errPortTaken) || choosePorts == nil || try == 5 {
			return errors.Join(err, s.folder.remove())
		}
	}
}

// Start runs the server again after Stop or Kill, with the same ports and data, and
// returns when it answers, at the latest after 60 s. It does nothing when the server
// runs.
func (s *server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.running) == len(s.parts) && s.running[len(s.running)-1].alive() {
		return nil
	}
	if err := s.end((*process).kill); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for _, part := range s.parts {
		p, err := s.startPart(ctx, part)
		if p != nil {
			s.running = append(s.running, p)
		}
		if err != nil {
			return errors.Join(err, s.end((*process).kill))
		}
	}
	return nil
}

func (s *server) startPart(ctx context.Context, part part) (*process, error) {
	c, err := part.command()
	if err != nil {
		return nil, err
	}
	c.log = s.logFile()
	var before int64
	if info, err := os.Stat(c.log); err == nil {
		before = info.Size()
	}
	p, err := startProcess(part.name, c)
	if err != nil {
		return nil, err
	}
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err = part.ready(ctx, p.id)
		if err == nil && p.alive() {
			return p, nil
		}
		select {
		case <-ticker.C:
		case <-p.done:
			log := tail(c.log, before)
			if portTaken(log) {
				return nil, fmt.Errorf("servers: %s: %w:\n%s", part.name, errPortTaken, log)
			}
			return nil, fmt.Errorf("servers: %s ended at its start:\n%s", part.name, log)
		case <-ctx.Done():
			return p, fmt.Errorf("servers: %s does not answer within %v (%w):\n%s", part.name, startTimeout, err, tail(c.log, before))
		}
	}
}

// portTaken looks for the words of Redis and MariaDB, of Erlang, and of epmd.
func portTaken(log string) bool {
	log = strings.ToLower(log)
	for _, words := range []string{"address already in use", "eaddrinuse", "in use by another"} {
		if strings.Contains(log, words) {
			return true
		}
	}
	return false
}

// Stop asks the server to end in good order (SIGTERM) and waits.
func (s *server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end((*process).terminate)
}

// Kill ends the server at once (SIGKILL) and waits until it is gone.
func (s *server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end((*process).kill)
}

// end ends what runs, the server's own process first. Its companions hold no data.
func (s *server) end(how func(*process) error) error {
	for len(s.running) > 0 {
		last := len(s.running) - 1
		if err := how(s.running[last]); err != nil {
			return err
		}
		s.running = s.running[:last]
		how = (*process).kill
	}
	return nil
}

// Pause holds the server (SIGSTOP): connections stay open, and nothing is answered from the
// moment that it returns.
func (s *server) Pause() error { return s.signal(pause) }

// Resume lets a paused server go on (SIGCONT).
func (s *server) Resume() error { return s.signal(resume) }

func (s *server) signal(send func(pid int) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.running) == 0 || !s.running[len(s.running)-1].alive() {
		return fmt.Errorf("servers: %s does not run", s.name)
	}
	return send(s.running[len(s.running)-1].id.PID)
}

// Close kills the server and removes its temporary folder; a folder that the caller
// named stays. It may be called again.
func (s *server) Close() error {
	return errors.Join(s.Kill(), s.folder.remove())
}

// tail returns the end of a file, at the most logTail bytes and nothing before from.
func tail(path string, from int64) string {
	f, err := os.Open(path)
	if err != nil {
		return "(no log)"
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "(no log)"
	}
	if _, err := f.Seek(max(from, info.Size()-logTail), io.SeekStart); err != nil {
		return "(no log)"
	}
	b, err := io.ReadAll(io.LimitReader(f, logTail))
	if err != nil {
		return "(no log)"
	}
	return strings.TrimSpace(string(b))
}
