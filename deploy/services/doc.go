// Command services starts and ends a private Redis, RabbitMQ and MariaDB in the
// background, for `make run-real` and for trying things by hand. It is behind
// `make services` and `make services-stop`.
//
//	services start  [--dir DIR]           start what does not run, print the URLs
//	services status [--dir DIR]           print the URLs and which processes run
//	services stop   [--dir DIR] [--wipe]  end them; --wipe removes their data too
//
// DIR, by default ./data/services, holds the data, the logs, and two files:
// services.env with REDIS_URL, AMQP_URL and MYSQL_DSN for a shell to source, and
// state.json with the processes that were started. Only those are ever ended.
//
// It imports package servers; nothing imports it.
package main
