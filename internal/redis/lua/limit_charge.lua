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

local states, changed = {}, {}

local function state(i, form)
	local s = states[i]
	if not s then
		s = {form = form, start = 0, last = 0, current = 0, previous = 0}
		local text = redis.call('GET', KEYS[i])
		if text then
			local f, start, last, current, previous = string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
			s = {form = tonumber(f), start = tonumber(start), last = tonumber(last), current = tonumber(current), previous = tonumber(previous)}
		end
		states[i] = s
	end
	if s.form ~= form then -- another algorithm or window starts anew
		s = {form = form, start = 0, last = 0, current = 0, previous = 0}
	end
	return s
end

-- Waits are whole milliseconds, rounded up.
local function upToMillisecond(us)
	return math.floor(us / 1000) * 1000 + 1000
end

local function fixed(s, c)
	local start, current = s.start, s.current
	if current == 0 or now - start >= c.window then
		start, current = now, 0
	end
	local left = math.min(start - now + c.window, c.window)
	local room = c.limit - current
	if c.units <= room then
		return {form = s.form, start = start, last = now, current = current + c.units, previous = 0}, room - c.units, 0, left
	end
	return nil, math.max(room, 0), left, left
end

local function bucket(s, c)
	local each = c.window / c.limit -- of a unit
	local start, fraction = s.start, s.previous
	if start < now or fraction >= c.limit then -- the limit was changed: its parts are others
		start, fraction = math.max(start, now), 0
	end
	-- A clock that went back, or a burst that was made smaller, is no more than a full bucket.
	local ahead = math.min(start - now + fraction / c.limit, c.burst * each)
	local over = ahead + (c.units - c.burst) * each
	if over > 0.000001 then
		local wait = upToMillisecond(over)
		if over <= c.window then
			wait = math.min(wait, c.window)
		end
		return nil, math.max(0, math.floor(c.burst - ahead / each + 0.000001)), wait, math.ceil(ahead)
	end
	local parts = fraction + c.units * c.window
	local whole = math.floor(parts / c.limit)
	ahead = ahead + c.units * each
	return {form = s.form, start = start + whole, last = now, current = 0, previous = parts - whole * c.limit},
		math.max(0, math.floor(c.burst - ahead / each + 0.000001)), 0, math.ceil(ahead)
end

-- How far into a window n units of the one before weigh room at most.
local function beyond(window, n, room)
	if n <= room then
		return 0
	end
	return upToMillisecond((1 - room / n) * window)
end

local function sliding(s, c)
	local start, last, current, previous = s.start, s.last, s.current, s.previous
	if last == 0 or now - last >= c.window then
		start, last, current, previous = now, now, 0, 0
	elseif now - start >= c.window then
		start, current, previous = start + c.window, 0, current
	end
	-- A clock that went back stays at the start of its window.
	local elapsed = math.min(math.max(now - start, 0), c.window)
	local room = c.limit - (current + previous * (c.window - elapsed) / c.window)
	if c.units <= room then
		last = math.max(last, now)
		return {form = s.form, start = start, last = last, current = current + c.units, previous = previous},
			math.max(0, math.floor(room - c.units)), 0, last - now + c.window
	end
	local wait
	if c.limit - c.units - current >= 0 then
		wait = beyond(c.window, previous, c.limit - c.units - current) - elapsed
	else
		wait = c.window - elapsed + beyond(c.window, current, c.limit - c.units)
	end
	return nil, math.max(0, math.floor(room)), math.max(1, math.min(last - now + c.window, wait)), last - now + c.window
end

local algorithms = {sliding, fixed, bucket}

local function take(c, units)
	local atOnce = c.limit
	if c.algorithm == 3 then
		atOnce = c.burst
	end
	if units > atOnce then -- passes at no time
		return nil, 0, c.window, c.window
	end
	local asked = c.units
	c.units = units
	local s, remaining, wait, reset = algorithms[c.algorithm](state(c.key, c.form), c)
	c.units = asked
	return s, remaining, wait, reset
end

local reply, at = {}, 1
while at <= #ARGV do
	local n = tonumber(ARGV[at])
	at = at + 1
	local charges, passed = {}, true
	for k = 1, n do
		local a = {}
		for j = 0, 7 do
			a[j] = tonumber(ARGV[at + j])
		end
		at = at + 8
		local c = {key = a[0], algorithm = a[1], limit = a[2], window = a[3], burst = a[4], units = a[5], advisory = a[6] == 1, extra = a[7], form = a[3] * 4 + a[1], granted = 0}
		c.next, c.remaining, c.wait, c.reset = take(c, c.units)
		passed = passed and (c.next ~= nil or c.advisory)
		charges[k] = c
	end
	for _, c in ipairs(charges) do
		if passed and c.next then
			states[c.key], changed[c.key] = c.next, c
			-- Half of what remains is left to the others.
			local extra = math.min(c.extra, math.floor(c.remaining / 2))
			if extra > 0 then
				local s, remaining, _, reset = take(c, extra)
				if s then
					states[c.key], c.remaining, c.reset, c.granted = s, remaining, reset, extra
				end
			end
		end
		for _, v in ipairs({c.next and 1 or 0, c.remaining, c.wait, c.reset, c.granted}) do
			reply[#reply + 1] = v
		end
	end
end

for i, c in pairs(changed) do
	local s = states[i]
	local ends = s.start
	if c.algorithm == 1 then
		ends = s.last + c.window
	elseif c.algorithm == 2 then
		ends = s.start + c.window
	end
	redis.call('SET', KEYS[i], string.format('%.0f %.0f %.0f %.0f %.0f', s.form, s.start, s.last, s.current, s.previous),
		'PX', math.max(1, math.ceil((ends - now) / 1000) + 1))
end
return reply
