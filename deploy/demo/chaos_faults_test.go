package main_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/failpoint"
)

// passed are the failpoints that the embedded form comes to.
var passed = []failpoint.Name{failpoint.Reserved, failpoint.Received, failpoint.Committed}

// neverPassed are the others, each with the reason. They are armed all the time: if one
// is passed all the same, the demo dies by itself, and the campaign says where.
var neverPassed = map[failpoint.Name]string{
	failpoint.Written:        "there is no broker to write to",
	failpoint.Confirmed:      "reserve and enqueue are one transaction, so the gate has nothing to publish and waits for no confirm",
	failpoint.DuplicateAcked: "a decision settles the gate in its own transaction, so no gate is told later",
	failpoint.Leased:         "there is no outbox, hence no relay",
	failpoint.Relayed:        "there is no outbox, hence no relay",
	failpoint.Fenced:         "gate and database share their transactions, so nothing is ever reconciled",
	failpoint.Snapshot:       "gate and database share their transactions, so nothing is ever reconciled",
}

// misfortune is one kind of fault, and how often it comes in a round but the first.
type misfortune struct {
	name  string
	times int
	hit   func(*testing.T)
}

func (c *campaign) misfortunes() []misfortune {
	out := []misfortune{
		{"killed", 6, c.killed},
		{"killed while it starts", 2, c.killedWhileItStarts},
		{"killed while it stops", 1, c.killedWhileItStops},
		{"killed while it is frozen", 1, c.killedWhileFrozen},
		{"frozen", 1, c.frozen},
		{"stopped", 1, c.stopped},
	}
	for _, point := range passed {
		out = append(out,
			misfortune{"dies at " + string(point), 2, func(t *testing.T) { c.diesAt(t, point) }},
			misfortune{"stands at " + string(point), 1, func(t *testing.T) { c.standsAt(t, point) }})
	}
	return out
}

// patience is how long the campaign waits for what must happen in the end.
const patience = 30 * time.Second

// wait lets up to d pass.
func (c *campaign) wait(t *testing.T, d time.Duration) { pause(t.Context(), upTo(c.random, d)) }

// until polls.
func (c *campaign) until(t *testing.T, what string, ok func() bool) bool {
	t.Helper()
	end := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(end) {
			t.Errorf("not within %v: %s", patience, what)
			return false
		}
		pause(t.Context(), 2*time.Millisecond)
	}
	return true
}

// alive ends the campaign when the demo has ended and nobody has killed it.
func (c *campaign) alive(t *testing.T) {
	t.Helper()
	select {
	case <-c.exited:
	default:
		return
	}
	for point, reason := range neverPassed {
		if c.hasHit(point) {
			t.Errorf("the demo has passed the failpoint %s, though %s: it belongs to those that are passed", point, reason)
		}
	}
	t.Fatalf("the demo has ended by itself: %v", c.err)
}

// sells waits until a purchase is answered clearly that was asked for after the pulse was
// reset.
func (c *campaign) sells(t *testing.T) (took time.Duration, ok bool) {
	t.Helper()
	ok = c.until(t, "a purchase is answered clearly", func() (yes bool) {
		c.alive(t)
		took, yes = c.pulse.took()
		return yes
	})
	return took, ok
}

// restart looks at what the dead process has left, starts the next one on it, and notes
// how long buyers had to wait for that.
func (c *campaign) restart(t *testing.T) {
	t.Helper()
	func() {
		c.books.file.Lock()
		defer c.books.file.Unlock()
		must(t, c.books.autopsy(t.Context(), c.journal.Accepted()))
		c.pulse.reset()
		c.start(t)
		c.duplicates.restarted()
	}()
	if took, ok := c.sells(t); ok {
		c.count.recoveries = append(c.count.recoveries, took)
	}
}

// goOn lets a process go on that stands still.
func (c *campaign) goOn(t *testing.T) {
	t.Helper()
	c.pulse.reset()
	c.signal(t, syscall.SIGCONT)
	c.sells(t)
}

func (c *campaign) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	must(t, c.cmd.Process.Signal(s))
}

// die kills the process, and waits until it is gone.
func (c *campaign) die(t *testing.T, how string) {
	t.Helper()
	c.signal(t, syscall.SIGKILL)
	<-c.exited
	c.count.killed(how)
}

func (c *campaign) killed(t *testing.T) {
	c.die(t, "at any time")
	c.restart(t)
}

// killedWhileItStarts kills a process that has just begun to make use of what another
// dead one has left.
func (c *campaign) killedWhileItStarts(t *testing.T) {
	c.die(t, "at any time")
	func() {
		c.books.file.Lock()
		defer c.books.file.Unlock()
		cmd := exec.CommandContext(t.Context(), binary)
		cmd.Dir, cmd.Env, cmd.Stderr = c.cmd.Dir, c.env, c.log
		must(t, cmd.Start())
		c.wait(t, 300*time.Millisecond)
		must(t, cmd.Process.Kill())
		_ = cmd.Wait() // says that it was killed
		c.count.killed("while it starts")
	}()
	c.restart(t)
}

// killedWhileItStops does not wait for the end that a SIGTERM asks for.
func (c *campaign) killedWhileItStops(t *testing.T) {
	for longest := 20 * time.Millisecond; ; longest /= 2 {
		c.signal(t, syscall.SIGTERM)
		c.wait(t, max(longest, time.Microsecond))
		_ = c.cmd.Process.Kill() // it may have ended
		<-c.exited
		ended, ok := errors.AsType[*exec.ExitError](c.err)
		killed := ok && ended.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
		if killed {
			c.count.killed("while it stops")
		}
		c.restart(t)
		if killed {
			return
		}
	}
}

func (c *campaign) killedWhileFrozen(t *testing.T) {
	c.signal(t, syscall.SIGSTOP)
	c.wait(t, 2*time.Second)
	c.die(t, "while it is frozen")
	c.restart(t)
}

func (c *campaign) frozen(t *testing.T) {
	c.signal(t, syscall.SIGSTOP)
	c.wait(t, 3*time.Second)
	c.goOn(t)
}

// stopped is the good order: SIGTERM, and the process ends by itself and without a
// complaint.
func (c *campaign) stopped(t *testing.T) {
	c.terminate(t)
	c.restart(t)
}

func (c *campaign) terminate(t *testing.T) {
	t.Helper()
	c.signal(t, syscall.SIGTERM)
	select {
	case <-c.exited:
		if c.err != nil {
			t.Errorf("after a SIGTERM the demo ended with %v:\n%s", c.err, c.log.tail(1<<10))
		}
	case <-time.After(patience):
		t.Fatalf("after a SIGTERM the demo did not end in %v", patience)
	}
}

// diesAt kills the process in the place where it comes next.
func (c *campaign) diesAt(t *testing.T, point failpoint.Name) {
	if !c.comesTo(t, point, "kill") {
		return
	}
	<-c.exited
	c.count.killed("at " + string(point))
	c.restart(t)
	if point == failpoint.Committed {
		before := c.duplicates.sum
		c.until(t, "P5: what had been committed comes from the queue again, and is found to be a duplicate", func() bool {
			must(t, c.duplicates.look(t.Context()))
			return c.duplicates.sum > before
		})
	}
}

// standsAt lets the process stand still there for longer than a buyer waits for an
// answer.
func (c *campaign) standsAt(t *testing.T, point failpoint.Name) {
	before := c.count.unknown.Load()
	for range 5 {
		if !c.comesTo(t, point, "stop") {
			return
		}
		pause(t.Context(), flashgate.PublishWindow+200*time.Millisecond)
		c.goOn(t)
		// Units are held there and nobody has an answer. When the process goes on, the
		// answer and the end of the patience race; once at least, the answer shall lose.
		if point != failpoint.Reserved || c.count.unknown.Load() > before {
			return
		}
	}
}

// comesTo arms a failpoint and waits until the process has come there.
func (c *campaign) comesTo(t *testing.T, point failpoint.Name, what string) bool {
	t.Helper()
	if err := os.Remove(c.pointFile(point) + ".hit"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	c.arm(t, point, what)
	if !c.until(t, "the process comes to "+string(point), func() bool { return c.hasHit(point) }) && os.Remove(c.pointFile(point)) == nil {
		return false // and it is taken back
	}
	c.count.struck(point)
	return true
}

func (c *campaign) pointFile(point failpoint.Name) string {
	return filepath.Join(c.points, string(point))
}

// arm writes the file in one step: the process must not find it half written.
func (c *campaign) arm(t *testing.T, point failpoint.Name, what string) {
	t.Helper()
	draft := filepath.Join(c.books.scratch, "armed")
	must(t, os.WriteFile(draft, []byte(what), 0o600))
	must(t, os.Rename(draft, c.pointFile(point)))
}

func (c *campaign) hasHit(point failpoint.Name) bool {
	_, err := os.Stat(c.pointFile(point) + ".hit")
	return err == nil
}
