-- name: goods_put
INSERT INTO goods (id, title, description, image, price) VALUES (?, ?, ?, ?, ?)
ON DUPLICATE KEY UPDATE title = VALUES(title), description = VALUES(description), image = VALUES(image), price = VALUES(price);

-- name: goods
SELECT id, title, description, image, price FROM goods WHERE id = ?;

-- name: users_put
INSERT INTO users (id, mobile, name, password, role, created) VALUES (?, ?, ?, ?, ?, ?);

-- name: user
SELECT id, mobile, name, password, role, created FROM users WHERE id = ?;

-- name: user_by_mobile
SELECT id, mobile, name, password, role, created FROM users WHERE mobile = ?;
