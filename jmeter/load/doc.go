// Command load runs the load-test plans of jmeter/: it is behind `make jmeter` and
// `make jmeter-compare`. It is imported by nobody, and knows the plans by their files
// alone: jmeter/<plan>.jmx, and jmeter/<plan>.json with what a run needs and what is
// expected of it.
//
//	load run [flags] [-Jname=value …] [PLAN…]       default: every plan, in its short form
//	load compare [flags] [-Jname=value …] A B PLAN  one plan against two targets in turn
//
// The settings are environment variables; jmeter/README.md lists them. Without TARGET it
// starts the embedded demo on free ports with data of its own. For each plan it makes
// users and a sale, looks whether the settings fit, runs JMeter, asks the verdict, and
// takes away what it has made. It ends exactly the processes that it has started, also
// on a signal.
//
// It ends with the worst of the plans' verdicts: 0 green, 1 red; 2 when one could not be
// told, with one line on standard error that says why.
package main
