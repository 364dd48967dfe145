-- Reads sessions and counts as their use. A use is written only when the one that is
-- written is older than a twentieth of the idle time: most reads write nothing.
-- KEYS the sessions
-- Returns for each nothing, or user, role, created, expires, idle and how many
-- milliseconds it lives without another use.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local sessions = {}
for i = 1, #KEYS do
	local s = redis.call('HMGET', KEYS[i], 'user', 'role', 'created', 'expires', 'idle')
	if not s[1] then
		s = false
	else
		local idle = tonumber(s[5])
		local left = math.min(idle, s[4] - now)
		if left <= 0 then
			redis.call('UNLINK', KEYS[i])
			s = false
		else
			local ttl = redis.call('PTTL', KEYS[i])
			if ttl < left - idle / 20 then
				redis.call('PEXPIRE', KEYS[i], left)
				ttl = left
			end
			s[6] = ttl
		end
	end
	sessions[i] = s
end
return sessions
