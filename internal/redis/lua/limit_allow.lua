-- Counts one request of a key, if it passes: the sliding window of package
-- ratelimit, with the same answers, in whole microseconds. A refused request writes
-- nothing.
-- KEYS[1] counter: start and length of the current fixed window, when a request
--         passed last, how many passed in this window and in the one before
-- ARGV limit, window (microseconds)
-- Returns allowed (1 or 0), remaining, retry after (microseconds).
local limit, length = tonumber(ARGV[1]), tonumber(ARGV[2])
local t = redis.call('TIME')
local at = t[1] * 1000000 + t[2]

local w = redis.call('HMGET', KEYS[1], 'start', 'length', 'last', 'current', 'previous')
local start, last, current, previous = at, at, 0, 0
if w[1] and tonumber(w[2]) == length and at - w[3] < length then
	start, last, current, previous = tonumber(w[1]), tonumber(w[3]), tonumber(w[4]), tonumber(w[5])
	if at - start >= length then
		start, current, previous = start + length, 0, current
	end
end

-- A clock that went back stays at the start of its window.
local elapsed = math.min(math.max(at - start, 0), length)
local used = current + previous * (length - elapsed) / length
if used + 1 <= limit then
	redis.call('HSET', KEYS[1],
		'start', string.format('%.0f', start), 'length', ARGV[2],
		'last', string.format('%.0f', math.max(last, at)), 'current', current + 1, 'previous', previous)
	-- After a window of silence it counts for nothing.
	redis.call('PEXPIRE', KEYS[1], math.ceil(length / 1000) + 1)
	return {1, math.max(0, math.floor(limit - used - 1)), 0}
end

-- How far into a window n requests of the one before weigh room at most, rounded up
-- to the next millisecond.
local function beyond(n, room)
	if n <= room then
		return 0
	end
	return math.floor((1 - room / n) * length / 1000) * 1000 + 1000
end

local wait
if current < limit then
	wait = beyond(previous, limit - 1 - current) - elapsed
else
	wait = length - elapsed + beyond(current, limit - 1)
end
return {0, 0, math.max(1, math.min(last - at + length, wait))}
