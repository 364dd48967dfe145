//go:build !failpoint

package failpoint

// Enabled says whether the program was built with the tag failpoint.
const Enabled = false

// Hit does nothing.
func Hit(Name) {}
