// Package servers starts private real servers: Redis (alone, as a Sentinel trio, as
// a Cluster), RabbitMQ and MariaDB. Each has a folder of its own and free ports on
// 127.0.0.1, so that any number of them run side by side and none touches a server
// that the machine runs anyway.
//
// What is started can be stopped, killed, paused and started again with the same
// ports and data: that is what fault tests need. Only processes that were started
// here are ever signalled, by pid. On Linux they die with the process that started
// them, unless Detach is set; their temporary folders, if that process was killed,
// are removed by the next one that starts a server.
//
// The binaries come from the Debian packages redis-server, rabbitmq-server and
// mariadb-server, or from PATH.
//
// Tests reach it through package serverstest, `make services` through
// deploy/services, campaigns directly. It imports clients only to ask whether a
// server answers; it must never import package testing, an adapter or Caddy.
package servers
