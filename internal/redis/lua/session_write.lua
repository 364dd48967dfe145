-- Writes a session with its end of life, unless it is over already.
-- KEYS[1] session
-- ARGV user, role, created, expires, idle (Unix milliseconds, milliseconds)
-- Returns 1 when it is alive, 0 when it is over.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local left = math.min(tonumber(ARGV[5]), ARGV[4] - now)
if left <= 0 then
	redis.call('UNLINK', KEYS[1])
	return 0
end
redis.call('HSET', KEYS[1], 'user', ARGV[1], 'role', ARGV[2], 'created', ARGV[3], 'expires', ARGV[4], 'idle', ARGV[5])
redis.call('PEXPIRE', KEYS[1], left)
return 1
