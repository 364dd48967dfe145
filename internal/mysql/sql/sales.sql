-- name: now
SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED);

-- name: seq_now
SELECT seq, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) FROM sale WHERE id = ?;

-- name: sale
SELECT id, goods, flash_price, starts, ends, per_user, seeded, stock_left, seq, epoch FROM sale WHERE id = ?;

-- name: sales
SELECT id, goods, flash_price, starts, ends, per_user, seeded, stock_left, seq, epoch FROM sale ORDER BY id;

-- name: sale_lock
SELECT id, goods, flash_price, starts, ends, per_user, seeded, stock_left, seq, epoch,
  CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED) FROM sale WHERE id = ? FOR UPDATE;

-- name: sale_create
INSERT INTO sale (id, goods, flash_price, starts, ends, per_user, seeded, stock_left, seq, epoch)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 1);

-- name: sale_change
UPDATE sale SET starts = ?, ends = ?, seeded = seeded + ?, stock_left = stock_left + ?, seq = seq + 1 WHERE id = ?;

-- name: sale_take
UPDATE sale SET stock_left = stock_left - ?, seq = seq + 1 WHERE id = ? AND stock_left >= ?;

-- name: sale_give_back
UPDATE sale SET stock_left = stock_left + ?, seq = seq + 1 WHERE id = ?;

-- name: log_put
INSERT INTO stock_log (sale, seq, epoch, left_after, starts, ends, decisions) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: log_entries
SELECT sale, seq, epoch, left_after, starts, ends, decisions FROM stock_log WHERE sale = ? AND seq > ? ORDER BY seq LIMIT ?;

-- name: fence_draw
UPDATE sale SET fences = LAST_INSERT_ID(fences + 1) WHERE id = ?;

-- name: fence_record
UPDATE sale SET fenced = GREATEST(fenced, ?) WHERE id = ? AND ? <= fences;

-- name: fenced
SELECT fenced FROM sale WHERE id = ?;

-- name: epoch_raise
UPDATE sale SET epoch = epoch + 1 WHERE id = ? AND epoch = ?;

-- name: snapshot_orders
SELECT id, user, units, status FROM orders WHERE sale = ? ORDER BY seq, id;

-- name: snapshot_dead
SELECT id, sale, record, reason, detail, created FROM dead_letter WHERE sale = ? ORDER BY created, id;

-- name: audit_put
INSERT INTO audit (at, sale, epoch, action, detail)
VALUES (CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED), ?, ?, ?, ?);

-- name: audits
SELECT at, sale, epoch, action, detail FROM audit ORDER BY id DESC LIMIT ?;

-- name: audits_of
SELECT at, sale, epoch, action, detail FROM audit WHERE sale = ? ORDER BY id DESC LIMIT ?;
