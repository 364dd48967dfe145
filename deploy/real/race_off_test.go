//go:build !race

package main_test

// raceEnabled: the demo is built as the tests are.
const raceEnabled = false
