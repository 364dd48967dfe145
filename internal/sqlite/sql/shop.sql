-- name: goods_put
INSERT INTO goods (id, title, description, image, price) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (id) DO UPDATE SET title = ?2, description = ?3, image = ?4, price = ?5;

-- name: goods
SELECT id, title, description, image, price FROM goods WHERE id = ?;

-- name: user_put
INSERT INTO users (id, mobile, name, password, role, created) VALUES (?, ?, ?, ?, ?, ?);

-- name: user
SELECT id, mobile, name, password, role, created FROM users WHERE id = ?;

-- name: user_by_mobile
SELECT id, mobile, name, password, role, created FROM users WHERE mobile = ?;

-- name: session
SELECT key, user, role, created, expires, idle, seen FROM session WHERE key = ?;

-- name: sessions
SELECT key, user, role, created, expires, idle, seen FROM session WHERE key IN (SELECT value FROM json_each(?));

-- name: session_put
INSERT INTO session (key, user, role, created, expires, idle, seen) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7);

-- name: session_seen
UPDATE session SET seen = max(seen, ?2) WHERE key = ?1;

-- name: session_delete
DELETE FROM session WHERE key = ?;

-- name: session_delete_of
DELETE FROM session WHERE user = ?;

-- name: session_sweep
DELETE FROM session WHERE key IN (SELECT key FROM session WHERE expires <= ? ORDER BY expires LIMIT 100);
