-- Reads a session and counts as its use. The use is written only when the one that
-- is written is older than a twentieth of the idle time: most reads write nothing.
-- KEYS[1] session
-- Returns nothing, or user, role, created, expires, idle and how many milliseconds
-- it lives without another use.
local s = redis.call('HMGET', KEYS[1], 'user', 'role', 'created', 'expires', 'idle')
if not s[1] then
	return false
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local idle = tonumber(s[5])
local left = math.min(idle, s[4] - now)
if left <= 0 then
	redis.call('UNLINK', KEYS[1])
	return false
end
local ttl = redis.call('PTTL', KEYS[1])
if ttl < left - idle / 20 then
	redis.call('PEXPIRE', KEYS[1], left)
	ttl = left
end
s[6] = ttl
return s
