-- name: enqueue
INSERT INTO queue (body) VALUES (?);

-- name: queue_head
SELECT tag, body, attempts FROM queue ORDER BY tag LIMIT ?;

-- name: queue_ack
DELETE FROM queue WHERE tag = ?;

-- name: queue_return
UPDATE queue SET attempts = attempts + 1 WHERE tag = ?;
