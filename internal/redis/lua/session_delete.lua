-- Deletes a session.
-- KEYS[1] session
-- Returns its user, or nothing when there is none.
local user = redis.call('HGET', KEYS[1], 'user')
redis.call('UNLINK', KEYS[1])
return user
