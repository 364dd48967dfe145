-- Removes marks that are over, unless somebody has written them anew meanwhile.
-- KEYS[1] marks: key → JSON
-- ARGV    for each mark its key and its JSON as it was read
-- Returns how many were removed.
local n = 0
for i = 1, #ARGV, 2 do
	if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
		n = n + redis.call('HDEL', KEYS[1], ARGV[i])
	end
end
return n
