-- name: removal_buyers
SELECT DISTINCT user FROM orders WHERE sale = ?;

-- name: remove_orders
DELETE FROM orders WHERE sale = ?;

-- name: remove_dead_letters
DELETE FROM dead_letter WHERE sale = ?;

-- name: remove_buyers
DELETE FROM buyer WHERE sale = ?;

-- name: remove_log
DELETE FROM stock_log WHERE sale = ?;

-- name: remove_sale
DELETE FROM sale WHERE id = ?;

-- name: remove_users
DELETE FROM users WHERE id IN (?);
