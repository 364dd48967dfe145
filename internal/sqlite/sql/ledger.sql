-- name: sale
SELECT id, goods, flash_price, starts, ends, per_user, seeded, stock_left, seq, epoch FROM sale WHERE id = ?;

-- name: sales
SELECT id, goods, flash_price, starts, ends, per_user, seeded, stock_left, seq, epoch FROM sale ORDER BY id;

-- name: sale_create
INSERT INTO sale (id, goods, flash_price, starts, ends, per_user, seeded, stock_left, seq, epoch)
VALUES (?, ?, ?, ?, ?, ?, ?7, ?7, 0, 1);

-- name: sale_window
UPDATE sale SET starts = ?2, ends = ?3, seq = seq + 1 WHERE id = ?1;

-- name: sale_restock
UPDATE sale SET seeded = seeded + ?2, stock_left = stock_left + ?2, seq = seq + 1 WHERE id = ?1;

-- name: sale_take
UPDATE sale SET stock_left = stock_left - ?2 WHERE id = ?1 AND stock_left >= ?2;

-- name: sale_give_back
UPDATE sale SET stock_left = stock_left + ?2, seq = seq + 1 WHERE id = ?1;

-- name: sale_decided
UPDATE sale SET seq = seq + 1 WHERE id = ?;

-- name: buyer
SELECT taken FROM buyer WHERE sale = ? AND user = ?;

-- name: buyer_add
INSERT INTO buyer (sale, user, taken) VALUES (?1, ?2, ?3)
ON CONFLICT (sale, user) DO UPDATE SET taken = taken + ?3;

-- name: buyer_back
UPDATE buyer SET taken = taken - ?3 WHERE sale = ?1 AND user = ?2;

-- name: order
SELECT id, sale, user, units, price, status, reason, seq, created, expires, updated FROM orders WHERE id = ?;

-- name: orders_of
SELECT id, sale, user, units, price, status, reason, seq, created, expires, updated FROM orders
WHERE user = ? ORDER BY created DESC, id LIMIT ?;

-- name: order_put
INSERT INTO orders (id, sale, user, units, price, status, reason, seq, created, expires, updated)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?9);

-- name: order_pay
UPDATE orders SET status = 'paid', updated = ?2 WHERE id = ?1 AND status = 'pending' AND expires > ?2;

-- name: order_cancel
UPDATE orders SET status = 'cancelled', reason = ?3, updated = ?2 WHERE id = ?1 AND status = 'pending';

-- name: orders_expired
SELECT id, sale, user, units, price, status, reason, seq, created, expires, updated FROM orders
WHERE status = 'pending' AND expires <= ? ORDER BY expires LIMIT ?;

-- name: orders_next_expiry
SELECT min(expires) FROM orders WHERE status = 'pending';

-- name: dead_letter
SELECT id, sale, record, reason, detail, created FROM dead_letter WHERE id = ?;

-- name: dead_letters
SELECT id, sale, record, reason, detail, created FROM dead_letter ORDER BY created, id LIMIT ?;

-- name: dead_letter_put
INSERT INTO dead_letter (id, sale, record, reason, detail, created) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING;

-- name: dead_letter_drop
DELETE FROM dead_letter WHERE id = ?;
