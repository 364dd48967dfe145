-- Appends a purge of pages to the log and tells those who listen.
-- KEYS[1] log's name and count: a hash
-- KEYS[2] log: a list, the newest first
-- ARGV name of a new log, purge, most entries, channel
-- Returns how many purges there were.
redis.call('HSETNX', KEYS[1], 'name', ARGV[1])
local n = redis.call('HINCRBY', KEYS[1], 'count', 1)
redis.call('LPUSH', KEYS[2], ARGV[2])
redis.call('LTRIM', KEYS[2], 0, tonumber(ARGV[3]) - 1)
redis.pcall('PUBLISH', ARGV[4], 'purged')
return n
