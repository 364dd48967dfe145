-- Tells every cache to drop some sessions, and says which caches there are.
-- KEYS[1] register of caches
-- ARGV channel, message, lease (milliseconds)
-- Returns whether the register is complete (1 or 0), and the caches whose lease runs.
-- It is complete when it is older, in this run of the server, than any lease from
-- before can last.
redis.call('PUBLISH', ARGV[1], ARGV[2])
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local all = redis.call('HGETALL', KEYS[1])
local out, sameRun, since = {0}, false, nil
for i = 1, #all, 2 do
	local field, value = all[i], all[i + 1]
	if field == 'run' then
		sameRun = value == run
	elseif field == 'since' then
		since = tonumber(value)
	elseif tonumber(value) > now then
		out[#out + 1] = field
	end
end
if sameRun and since and now - since >= tonumber(ARGV[3]) then
	out[1] = 1
end
return out
