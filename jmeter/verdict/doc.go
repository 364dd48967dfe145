// Command verdict judges a load test: it compares the results file that JMeter has
// written (a plan of jmeter/ with flashgate.properties) with the orders in the
// database, with the gate and the queues, with the promises of the design, section 2,
// and with the plan's objectives.
//
//	verdict --plan FILE.json --results FILE --sale ID (--data FOLDER | --mysql DSN [--redis URL] [--amqp URL]) [flags]
//	verdict --plan FILE.json --results FILE           a plan without a sale
//
// It prints a line for each check and ends with 0 when all are green, 1 when one is
// red, 2 when it cannot tell: a wrong command line, a results file without the
// needed columns, a server that does not answer. --json writes the same as figures.
//
// It reads the servers with plain SQL and their plain clients and imports none of the
// adapters, so that it does not share their mistakes. It only reads.
package main
