// Package chaos has what all chaos campaigns against running systems share: the journal
// of what customers asked and were told, kept by a process that no fault touches, for a
// judge to hold against the database afterwards; and counts of what was done. It is for tests.
package chaos
