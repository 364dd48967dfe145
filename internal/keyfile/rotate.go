package keyfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"flashgate"

	"github.com/gofrs/flock"
)

// Bounds of a rotation.
const (
	// LeastKeep is how long an old key must go on to verify: as long as the longest path
	// token lives.
	LeastKeep = 24 * time.Hour
	// MostKeep bounds it, so that a date is not a slip of the finger.
	MostKeep = 10 * 366 * 24 * time.Hour
)

// Rotate adds a new key to a file, and writes the file anew in one step. The new key signs
// from now + in, when every process that reads the file must have it; the keys that are
// there end at now + in + keep. Mode and owner stay. Keys that are over go, and comments with them. Of two
// rotations at once one is refused, CodeWrongState, as is one while a new key waits to sign.
// It returns the schedule that holds now.
func Rotate(path string, now time.Time, in, keep time.Duration) (*flashgate.KeySchedule, error) {
	const op = "keyfile.Rotate"
	switch {
	case in < 0 || in > MostKeep:
		return nil, flashgate.Invalid(op, "in", "must be between 0s and %s", MostKeep)
	case keep < LeastKeep || keep > MostKeep:
		return nil, flashgate.Invalid(op, "keep", "must be between %s, the longest life of a path, and %s", LeastKeep, MostKeep)
	}
	path, err := filepath.EvalSymlinks(path) // the file is replaced, not a link to it
	if err != nil {
		return nil, unreadable(err)
	}
	unlock, err := lock(path)
	if err != nil {
		return nil, err
	}
	defer unlock()
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, unreadable(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		return nil, unreadable(err)
	}
	schedule, err := flashgate.ParseKeySchedule(string(text))
	if err != nil {
		return nil, (&Source{path: path}).wrong(err)
	}
	from := now.Add(in).Truncate(time.Second) // a schedule knows seconds
	if in > 0 {
		from = from.Add(time.Second)
	}
	next, err := schedule.Rotate(flashgate.NewKey(), now, from, from.Add(keep))
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for _, k := range next.Keys() {
		b.WriteString(k.Text() + "\n")
	}
	err = write(path, b.String(), func(temporary string) error {
		if err := alike(temporary, before); err != nil {
			return err
		}
		return os.Rename(temporary, path)
	})
	if err != nil {
		return nil, &flashgate.Error{Code: flashgate.CodeUnavailable, Op: op, Message: "The signing keys cannot be written.",
			Err: fmt.Errorf("%w (the new key is not in force)", err)}
	}
	return next, nil
}

// lock keeps a second rotation away. The system releases it when the process dies.
func lock(path string) (unlock func(), err error) {
	f := flock.New(path+".lock", flock.SetPermissions(0o600))
	locked, err := f.TryLock()
	if err != nil {
		return nil, unreadable(err)
	}
	if !locked {
		return nil, flashgate.Errorf(flashgate.CodeWrongState, "keyfile.Rotate", "another rotation is under way")
	}
	return func() { _ = f.Close() }, nil // the file stays: removing it would let two in
}
