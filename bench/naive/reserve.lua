local sale = redis.call('HMGET', KEYS[1], 'free', 'starts', 'ends', 'limit')
if not sale[1] then
  return 3
end
local now = tonumber(redis.call('TIME')[1])
if now < tonumber(sale[2]) or now >= tonumber(sale[3]) then
  return 3
end
if tonumber(sale[1]) < 1 then
  return 0
end
local bought = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or 0)
if bought >= tonumber(sale[4]) then
  return 2
end
redis.call('HINCRBY', KEYS[2], ARGV[1], 1)
redis.call('HINCRBY', KEYS[1], 'free', -1)
return 1
