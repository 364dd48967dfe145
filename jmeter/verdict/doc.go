// Command verdict judges a load test: it compares the results file that JMeter has
// written (flash-sale.jmx with flashgate.properties) with the orders in the
// database, and with the promises of the design, section 2. jmeter/load calls it
// last.
//
//	verdict --results FILE --sale ID (--data FOLDER | --mysql DSN) [flags]
//
// It prints a line for each check and ends with 0 when all are green, 1 when one is
// red, 2 when it cannot tell: a wrong command line, a results file without the
// needed columns, a database that does not answer.
//
// It reads the database with plain SQL and imports none of the adapters, so that it
// does not share their mistakes. It only reads.
package main
