// Package mysql is the database on MySQL or MariaDB: the ledger and the log of each
// sale, orders, dead letters, fences, the outbox of events, the audit, and the shop's
// users and goods. Open gives a Store that fills those ports of package flashgate.
//
// The SQL is in sql/: the schema as migrations, the statements by name. It suits MySQL
// 8.0.16 and MariaDB 10.6 and later. It was run on MariaDB 10.11; a test parses it by
// the grammar of MySQL 8.
//
// Isolation is READ COMMITTED. Every transaction that changes a sale locks the sale's
// row first, and then orders, buyers and the rest; so writers of one sale follow one
// another, and what they read after the lock is what was committed before it. Only a
// payment locks nothing but its order. So no two transactions wait for each other; a
// deadlock or a lock wait that the server reports all the same is retried.
//
// The worker, the shop and tests open it. It imports no other adapter and no Caddy; the
// gateway never links it.
package mysql
