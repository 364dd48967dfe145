-- The ids of a sale's orders begin with it and a dot, and / follows the dot.

-- name: removal_buyers
SELECT user FROM orders WHERE id >= ?1 || '.' AND id < ?1 || '/'
UNION SELECT user FROM gate_order WHERE held = 1 AND id >= ?1 || '.' AND id < ?1 || '/';

-- name: removal_letters
SELECT id, sale, record, reason, detail, created FROM dead_letter WHERE sale = ?;

-- name: removal_held
SELECT count(*) FROM gate_order
WHERE held = 1 AND id >= ?1 || '.' AND id < ?1 || '/' AND id NOT IN (SELECT id FROM dead_letter);

-- name: removal_queue
SELECT body FROM queue ORDER BY tag;

-- name: remove_orders
DELETE FROM orders WHERE id >= ?1 || '.' AND id < ?1 || '/';

-- name: remove_gate_orders
DELETE FROM gate_order WHERE id >= ?1 || '.' AND id < ?1 || '/';

-- name: remove_dead_letters
DELETE FROM dead_letter WHERE sale = ?;

-- name: remove_buyers
DELETE FROM buyer WHERE sale = ?;

-- name: remove_gate_buyers
DELETE FROM gate_buyer WHERE sale = ?;

-- name: remove_gate
DELETE FROM gate WHERE sale = ?;

-- name: remove_sale
DELETE FROM sale WHERE id = ?;

-- name: remove_users
DELETE FROM users WHERE id IN (SELECT value FROM json_each(?));
