-- Writes a one-time value in the place of another one; its end stays.
-- KEYS[1] the value
-- ARGV    the old value, the next one
-- Returns the value that was there before, or nil.
local before = redis.call('GET', KEYS[1])
if before == ARGV[1] then
	redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
end
return before
