-- name: gate
SELECT epoch, free, held, starts, ends, per_user, bound, coalesce((SELECT seq FROM sale WHERE id = gate.sale), 0)
FROM gate WHERE sale = ?;

-- name: gate_create
INSERT INTO gate (sale, epoch, free, held, starts, ends, per_user, bound) VALUES (?, 1, ?, 0, ?, ?, ?, ?);

-- name: gate_move
UPDATE gate SET free = free + ?2, held = held + ?3 WHERE sale = ?1;

-- name: gate_window
UPDATE gate SET starts = ?2, ends = ?3 WHERE sale = ?1;

-- name: gate_position
SELECT gate.epoch, sale.seq FROM gate JOIN sale ON sale.id = gate.sale WHERE gate.sale = ?;

-- name: gate_order
SELECT user, units, at, held FROM gate_order WHERE id = ?;

-- name: gate_orders
SELECT id, user, units, at FROM gate_order WHERE id IN (SELECT value FROM json_each(?));

-- name: gate_orders_put
INSERT INTO gate_order (id, user, units, at, held) VALUES {rows};

-- name: gate_order_put
INSERT INTO gate_order (id, user, units, at, held) VALUES (?, ?, ?, ?, ?);

-- name: gate_order_decided
UPDATE gate_order SET held = 0 WHERE id = ? AND held = 1;

-- name: gate_buyers
SELECT user, units, prior FROM gate_buyer WHERE sale = ?1 AND user IN (SELECT value FROM json_each(?2));

-- name: gate_buyers_put
INSERT INTO gate_buyer (sale, user, units, prior) VALUES {rows}
ON CONFLICT (sale, user) DO UPDATE SET units = excluded.units, prior = excluded.prior;

-- name: gate_buyer_add
INSERT INTO gate_buyer (sale, user, units, prior) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (sale, user) DO UPDATE SET units = units + ?3, prior = ?4;

-- name: gate_buyer_back
UPDATE gate_buyer SET units = units - ?3 WHERE sale = ?1 AND user = ?2;
