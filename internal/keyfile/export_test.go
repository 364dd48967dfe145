package keyfile

import "time"

// OpenAt is Open with a clock of the test's.
func OpenAt(now func() time.Time, setting, dir string, report func(error)) (*Source, error) {
	return openAt(now, setting, dir, report)
}
