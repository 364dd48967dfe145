-- In a statement that is used for many rows, one row's (?, …), one IN (?) or one
-- UNION ALL SELECT ? stands for as many as there are.
--
-- What locks rows by key says FORCE INDEX (PRIMARY) or STRAIGHT_JOIN. Left to itself the
-- server may read a small table from end to end, or come by another index: then it
-- locks, or waits for, rows of other sales and callers, or locks in another order than
-- a payment does.

-- name: order
SELECT id, sale, user, units, price, status, reason, seq, created, expires, updated FROM orders WHERE id = ?;

-- name: order_lock
SELECT id, sale, user, units, price, status, reason, seq, created, expires, updated FROM orders WHERE id = ? FOR UPDATE;

-- name: orders
SELECT id, sale, user, units, price, status, reason, seq, created, expires, updated FROM orders WHERE id IN (?);

-- name: orders_of
SELECT id, sale, user, units, price, status, reason, seq, created, expires, updated FROM orders
WHERE user = ? ORDER BY created DESC, id LIMIT ?;

-- name: known
SELECT 'order', id, sale, user, units, status, reason, seq FROM orders WHERE id IN (?)
UNION ALL SELECT 'dead', id, '', '', 0, '', reason, 0 FROM dead_letter WHERE id IN (?)
UNION ALL SELECT 'buyer', '', '', user, taken, '', '', 0 FROM buyer WHERE sale = ? AND user IN (?);

-- name: orders_put
INSERT INTO orders (id, sale, user, units, price, status, reason, seq, created, expires, updated)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: order_pay
UPDATE orders FORCE INDEX (PRIMARY) SET status = 'paid', updated = ?
WHERE id = ? AND status = 'pending' AND expires > ?;

-- name: orders_cancel
UPDATE orders FORCE INDEX (PRIMARY) SET status = 'cancelled', reason = ?, updated = ?
WHERE status = 'pending' AND id IN (?);

-- name: orders_due
SELECT id, sale FROM orders
WHERE status = 'pending' AND expires <= CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) ORDER BY expires LIMIT ?;

-- name: orders_due_lock
SELECT id, sale, user, units, price, status, reason, seq, created, expires, updated
FROM orders FORCE INDEX (PRIMARY) WHERE status = 'pending' AND expires <= ? AND id IN (?) FOR UPDATE;

-- name: orders_next_expiry
SELECT MIN(expires) FROM orders WHERE status = 'pending';

-- name: buyers_add
INSERT INTO buyer (sale, user, taken) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE taken = taken + VALUES(taken);

-- name: buyers_new
INSERT INTO buyer (sale, user, taken) VALUES (?, ?, ?);

-- name: buyers_back
UPDATE (SELECT sale, user, SUM(units) AS units FROM orders FORCE INDEX (PRIMARY) WHERE id IN (?) GROUP BY sale, user) o
  STRAIGHT_JOIN buyer b FORCE INDEX (PRIMARY) ON b.sale = o.sale AND b.user = o.user
SET b.taken = b.taken - o.units;

-- name: dead_letter_lock
SELECT id, sale, record, reason, detail, created FROM dead_letter WHERE id = ? FOR UPDATE;

-- name: dead_letters
SELECT id, sale, record, reason, detail, created FROM dead_letter ORDER BY created, id LIMIT ?;

-- name: dead_letters_in
SELECT id, sale, record, reason, detail, created FROM dead_letter WHERE id IN (?);

-- name: dead_letters_put
INSERT INTO dead_letter (id, sale, record, reason, detail, created) VALUES (?, ?, ?, ?, ?, ?)
ON DUPLICATE KEY UPDATE id = VALUES(id);

-- name: dead_any
SELECT EXISTS (SELECT 1 FROM dead_letter);

-- name: dead_any_of
SELECT EXISTS (SELECT 1 FROM dead_letter WHERE id IN (?));

-- name: dead_letter_drop
DELETE FROM dead_letter WHERE id = ?;

-- name: events_put
INSERT INTO event (kind, sale, order_id, user, units, seq, at) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: events_lock
SELECT id, kind, sale, order_id, user, units, seq, at
FROM event FORCE INDEX (PRIMARY) ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED;

-- name: events_drop
DELETE e FROM (SELECT 0 AS id UNION ALL SELECT ?) k STRAIGHT_JOIN event e FORCE INDEX (PRIMARY) ON e.id = k.id;

-- name: tally_dead
SELECT COUNT(*) FROM dead_letter;

-- name: tally_dead_ids
SELECT id FROM dead_letter ORDER BY created, id LIMIT ?;

-- name: tally_event
SELECT GREATEST(CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) - at, 1) FROM event FORCE INDEX (PRIMARY) ORDER BY id LIMIT 1;

-- name: tally_over_accepted
-- What was rejected has the time of its decision in expires, and the entry of the log
-- that it is in has the sale's epoch of that time: the second was the first to be opened.
SELECT COUNT(*), COALESCE(SUM(COALESCE(l.epoch, 0) > 2), 0) FROM (
  SELECT sale, seq FROM orders FORCE INDEX (orders_unpaid)
  WHERE status = 'rejected' AND expires > CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) - ? AND reason IN ('sold_out', 'already_bought')
  LIMIT ?
) o LEFT JOIN stock_log l FORCE INDEX (PRIMARY) ON l.sale = o.sale AND l.seq = o.seq;
