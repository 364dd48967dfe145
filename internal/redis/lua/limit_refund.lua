-- Gives a charge back to its counter, if that still counts it: for limits of one request
-- whose counters lie in several slots of a Cluster.
-- KEYS[1] counter, see limit_charge.lua
-- ARGV    as one charge of limit_charge.lua, and the reset that it was answered
-- Returns 1 when it was given back.
local algorithm, limit, window, units = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[6])
local text = redis.call('GET', KEYS[1])
if not text then
	return 0
end
local form, start, last, current, previous = string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
if tonumber(form) ~= window * 4 + algorithm then
	return 0
end
if algorithm == 3 then
	local parts = tonumber(previous) - units * window
	local whole = math.floor(parts / limit)
	start, previous = start + whole, parts - whole * limit
else
	if algorithm == 2 then
		local t = redis.call('TIME')
		-- A window that lasts for longer than the charge's did is the next one, which has not
		-- counted it.
		if start + window - (t[1] * 1000000 + t[2]) > tonumber(ARGV[9]) then
			return 0
		end
	end
	current = math.max(0, current - units)
end
redis.call('SET', KEYS[1], string.format('%.0f %.0f %.0f %.0f %.0f', form, start, last, current, previous), 'KEEPTTL')
return 1
