-- Decides requests one after the other: each takes its cost from all of its limits or,
-- if one that is not advisory has no room, from none. The arithmetic of package
-- ratelimit, with the same answers, in whole microseconds. A refused request writes
-- nothing.
-- KEYS   counters, each once: "form start last current previous", see package ratelimit;
--        of a token bucket previous is the fraction of start, in parts of its limit
-- ARGV   for each request the number of its charges, and for each charge: index of the
--        key, algorithm (1 sliding window, 2 fixed window, 3 token bucket), limit, window
--        (microseconds), burst, units, advisory (1 or 0), extra units wanted on lease
-- Returns for each charge: allowed (1 or 0), remaining, retry after and reset
--        (microseconds), extra units granted.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local floor, ceil, min, max = math.floor, math.ceil, math.min, math.max

-- Counters by index of their key: lists of form, start, last, current and previous.
local states, changed = {}, {}
local stored = redis.call('MGET', unpack(KEYS))

local function state(i, form)
	local s = states[i]
	if not s and stored[i] then
		local f, start, last, current, previous = string.match(stored[i], '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
		if f then
			s = {f + 0, start + 0, last + 0, current + 0, previous + 0}
			states[i] = s
		end
	end
	if not s or s[1] ~= form then -- another algorithm or window starts anew, and what is no counter
		s = {form, 0, 0, 0, 0}
	end
	return s
end

-- Waits are whole milliseconds, rounded up.
local function upToMillisecond(us)
	return floor(us / 1000) * 1000 + 1000
end

local function fixed(s, limit, window, _, units)
	local start, current = s[2], s[4]
	if current == 0 or now - start >= window then
		start, current = now, 0
	end
	local left = min(start - now + window, window)
	local room = limit - current
	if units <= room then
		return {s[1], start, now, current + units, 0}, room - units, 0, left
	end
	return nil, max(room, 0), left, left
end

local function bucket(s, limit, window, burst, units)
	local each = window / limit -- of a unit
	local start, fraction = s[2], s[5]
	if start < now or fraction >= limit then -- the limit was changed: its parts are others
		start, fraction = max(start, now), 0
	end
	-- A clock that went back, or a burst that was made smaller, is no more than a full bucket.
	local ahead = min(start - now + fraction / limit, burst * each)
	local over = ahead + (units - burst) * each
	if over > 0.000001 then
		local wait = upToMillisecond(over)
		if over <= window then
			wait = min(wait, window)
		end
		return nil, max(0, floor(burst - ahead / each + 0.000001)), wait, ceil(ahead)
	end
	local parts = fraction + units * window
	local whole = floor(parts / limit)
	ahead = ahead + units * each
	return {s[1], start + whole, now, 0, parts - whole * limit},
		max(0, floor(burst - ahead / each + 0.000001)), 0, ceil(ahead)
end

-- How far into a window n units of the one before weigh room at most.
local function beyond(window, n, room)
	if n <= room then
		return 0
	end
	return upToMillisecond((1 - room / n) * window)
end

local function sliding(s, limit, window, _, units)
	local start, last, current, previous = s[2], s[3], s[4], s[5]
	if last == 0 or now - last >= window then
		start, last, current, previous = now, now, 0, 0
	elseif now - start >= window then
		start, current, previous = start + window, 0, current
	end
	-- A clock that went back stays at the start of its window.
	local elapsed = min(max(now - start, 0), window)
	local room = limit - (current + previous * (window - elapsed) / window)
	if units <= room then
		last = max(last, now)
		return {s[1], start, last, current + units, previous}, max(0, floor(room - units)), 0, last - now + window
	end
	local wait
	if limit - units - current >= 0 then
		wait = beyond(window, previous, limit - units - current) - elapsed
	else
		wait = window - elapsed + beyond(window, current, limit - units)
	end
	return nil, max(0, floor(room)), max(1, min(last - now + window, wait)), last - now + window
end

local algorithms = {sliding, fixed, bucket}

-- take is the counter with the units taken, or nothing, and what the charge is told. at is
-- where the charge begins in ARGV.
local function take(at, units)
	local algorithm, limit, window, burst = ARGV[at + 1] + 0, ARGV[at + 2] + 0, ARGV[at + 3] + 0, ARGV[at + 4] + 0
	local atOnce = limit
	if algorithm == 3 then
		atOnce = burst
	end
	if units > atOnce then -- passes at no time
		return nil, 0, window, window
	end
	return algorithms[algorithm](state(ARGV[at] + 0, window * 4 + algorithm), limit, window, burst, units)
end

local reply, at, told = {}, 1, 0
while at <= #ARGV do
	local n, passed, taken = ARGV[at] + 0, true, {}
	for k = 1, n do
		local charge, r = at + 8 * k - 7, told + 5 * k - 5
		local s, remaining, wait, reset = take(charge, ARGV[charge + 5] + 0)
		passed = passed and (s ~= nil or ARGV[charge + 6] == '1')
		taken[k] = s
		reply[r + 1], reply[r + 2], reply[r + 3], reply[r + 4], reply[r + 5] = s and 1 or 0, remaining, wait, reset, 0
	end
	for k = 1, passed and n or 0 do
		if taken[k] then
			local charge, r = at + 8 * k - 7, told + 5 * k - 5
			local key = ARGV[charge] + 0
			states[key], changed[key] = taken[k], true
			-- Half of what remains is left to the others.
			local extra = min(ARGV[charge + 7] + 0, floor(reply[r + 2] / 2))
			if extra > 0 then
				local s, remaining, _, reset = take(charge, extra)
				if s then
					states[key], reply[r + 2], reply[r + 4], reply[r + 5] = s, remaining, reset, extra
				end
			end
		end
	end
	at, told = at + 1 + 8 * n, told + 5 * n
end

for i in pairs(changed) do
	local s = states[i]
	local window, ends = floor(s[1] / 4), s[2]
	if s[1] % 4 == 1 then
		ends = s[3] + window
	elseif s[1] % 4 == 2 then
		ends = s[2] + window
	end
	redis.call('SET', KEYS[i], string.format('%.0f %.0f %.0f %.0f %.0f', s[1], s[2], s[3], s[4], s[5]),
		'PX', max(1, ceil((ends - now) / 1000) + 1))
end
return reply
