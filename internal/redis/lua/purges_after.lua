-- Reads the purges after a number.
-- KEYS[1] log's name and count: a hash
-- KEYS[2] log: a list, the newest first
-- ARGV name of a new log, name of the log that is known, number
-- Returns the log's name, the number before the first, and the purges, the newest first.
-- A server that was restarted may have lost the last ones: its run is part of the name.
redis.call('HSETNX', KEYS[1], 'name', ARGV[1])
local name = redis.call('HGET', KEYS[1], 'name') .. ':' .. string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local count = tonumber(redis.call('HGET', KEYS[1], 'count') or 0)
local after = 0
if name == ARGV[2] then
	after = tonumber(ARGV[3])
end
after = math.max(after, count - redis.call('LLEN', KEYS[2]))
if after >= count then
	return {name, count}
end
return {name, after, unpack(redis.call('LRANGE', KEYS[2], 0, count - after - 1))}
