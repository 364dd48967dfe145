package keyfile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"flashgate"
)

// Scheme is in front of a setting that names a file with the keys.
const Scheme = "file:"

// fresh is how old what a Source says may be.
const fresh = time.Second

// Source gives the keys that hold now. Those of a file are read again when they are asked
// for and a second has passed, so keys are rotated without a restart. It is safe for
// concurrent use and costs a comparison, but for one caller a second.
type Source struct {
	path   string // empty: the text never changes
	now    func() time.Time
	report func(error)

	current atomic.Pointer[current]

	mu       sync.Mutex
	text     []byte
	schedule *flashgate.KeySchedule
	failed   string // what was reported last
}

type current struct {
	ring  *flashgate.Keyring
	until time.Time
}

// Open reads a setting: keys (flashgate.ParseKeySchedule), or file:<path> of a file with
// keys. An empty one means <dir>/keys, which is made with one new key when it is not there.
//
// When the file goes away later or does not hold keys any more, the last ones go on to hold
// and report is called, once for each new trouble, and with nil when it is over.
//
// Errors are CodeInvalid for a setting that is wrong, CodeInternal for a file that does not
// hold keys, CodeUnavailable for one that cannot be read or made. They never show a key.
func Open(setting, dir string, report func(error)) (*Source, error) {
	return openAt(time.Now, setting, dir, report)
}

func openAt(now func() time.Time, setting, dir string, report func(error)) (*Source, error) {
	s := &Source{now: now, report: report}
	setting = strings.TrimSpace(setting)
	path, named := strings.CutPrefix(setting, Scheme)
	switch {
	case setting == "":
		s.path = filepath.Join(dir, Name)
		if err := create(dir, s.path); err != nil {
			return nil, unreadable(err)
		}
	case named && path == "":
		return nil, flashgate.Invalid("keyfile.Open", "keys", "%s needs the path of a file, such as %s/etc/flashgate/keys", Scheme, Scheme)
	case named:
		s.path = path
	default:
		s.text = []byte(setting)
	}
	if err := s.read(); err != nil {
		return nil, err
	}
	s.hold()
	return s, nil
}

// Keyring gives the keys as they were at most a second ago.
func (s *Source) Keyring() *flashgate.Keyring {
	if c := s.current.Load(); s.now().Before(c.until) {
		return c.ring
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.current.Load(); s.now().Before(c.until) { // somebody has read it meanwhile
		return c.ring
	}
	s.tell(s.read())
	return s.hold()
}

// Path is the file's, empty for keys that stand in the setting itself.
func (s *Source) Path() string { return s.path }

// read parses the file when it has changed.
func (s *Source) read() error {
	text := s.text
	if s.path != "" {
		var err error
		if text, err = os.ReadFile(s.path); err != nil {
			return unreadable(err)
		}
	}
	if s.schedule != nil && bytes.Equal(text, s.text) {
		return nil
	}
	schedule, err := flashgate.ParseKeySchedule(string(text))
	if err != nil {
		return s.wrong(err)
	}
	s.text, s.schedule = text, schedule
	return nil
}

func (s *Source) wrong(err error) error {
	e, ok := errors.AsType[*flashgate.Error](err)
	if s.path == "" || !ok {
		return err
	}
	return &flashgate.Error{Code: flashgate.CodeInternal, Op: "keyfile.Open", Err: fmt.Errorf("%s: keys: %s", s.path, e.Message)}
}

func (s *Source) hold() *flashgate.Keyring {
	now := s.now()
	ring := s.schedule.At(now)
	s.current.Store(&current{ring: ring, until: now.Add(fresh)})
	return ring
}

func (s *Source) tell(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != s.failed && s.report != nil {
		s.report(err)
	}
	s.failed = text
}

func unreadable(err error) error {
	return &flashgate.Error{Code: flashgate.CodeUnavailable, Op: "keyfile.Open", Message: "The signing keys cannot be read.",
		Err: fmt.Errorf("%w (set keys, or let this user read the file, and write the data folder)", err)}
}

var _ flashgate.Keys = (*Source)(nil)
