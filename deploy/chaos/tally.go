package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// Tally counts by name.
type Tally map[string]int

// Total is the sum of all counts.
func (t Tally) Total() (n int) {
	for _, k := range t {
		n += k
	}
	return n
}

// String lists the counts by name.
func (t Tally) String() string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(t)) {
		out = append(out, fmt.Sprint(name, " ", t[name]))
	}
	return strings.Join(out, ", ")
}

// AtLeast fails the campaign for something that it was to show and has not.
func AtLeast(t testing.TB, want int, what string, got int) {
	t.Helper()
	if got < want {
		t.Errorf("%s: %d, at least %d are needed for the campaign to show anything", what, got, want)
	}
}
