-- Enters a cache into the register of caches, or renews its entry; without a name
-- it only keeps the register. The register remembers which run of the server it was begun in, and when: one that came back
-- from disk or from another server may lack somebody.
-- KEYS[1] register: cache -> end of its lease, run, since
-- ARGV cache, lease (milliseconds)
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
if redis.call('HGET', KEYS[1], 'run') ~= run then
	redis.call('HSET', KEYS[1], 'run', run, 'since', string.format('%.0f', now))
end
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
	if all[i] ~= 'run' and all[i] ~= 'since' and tonumber(all[i + 1]) <= now then
		redis.call('HDEL', KEYS[1], all[i])
	end
end
if ARGV[1] ~= '' then
	redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now + ARGV[2]))
end
redis.call('PEXPIRE', KEYS[1], 60000)
return 1
