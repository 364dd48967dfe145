-- Open is the last step of opening: what was staged takes its place. ARGV: the
-- incarnation, the epoch, the token, how many are staged of buyers, held and outbox,
-- then free, held, applied, starts, ends, limit and bound, and the channel of what
-- comes free. KEYS: the mark, then the staged buyers, held and outbox.
--
-- Reply: 'opened', 'refused', or 'lost' when not all is there that was staged.
local OPENING = KEYS[6]
if incarnation() ~= ARGV[1] then
  return 'refused'
end
local mark = ARGV[2] .. ' ' .. ARGV[3]
if redis.call('HGET', HEAD, 'opening') == mark then
  return 'opened' -- a repeat, because the first reply was lost
end
if redis.call('GET', OPENING) ~= mark then
  return 'refused'
end
if redis.call('HLEN', KEYS[7]) ~= tonumber(ARGV[4]) or redis.call('HLEN', KEYS[8]) ~= tonumber(ARGV[5])
  or redis.call('ZCARD', KEYS[9]) ~= tonumber(ARGV[6]) then
  return 'lost'
end
redis.call('UNLINK', OPENING, BUYERS, HELD, OUTBOX, LEASED)
for staged, key in pairs({[KEYS[7]] = BUYERS, [KEYS[8]] = HELD, [KEYS[9]] = OUTBOX}) do
  if redis.call('PERSIST', staged) == 1 then
    redis.call('RENAME', staged, key)
  end
end
redis.call('PERSIST', HEAD) -- that of a sale which was removed and made anew is to vanish
redis.call('HSET', HEAD, 'epoch', ARGV[2], 'incarnation', ARGV[1], 'opening', mark, 'free', ARGV[7], 'held', ARGV[8],
  'applied', ARGV[9], 'starts', ARGV[10], 'ends', ARGV[11], 'limit', ARGV[12], 'bound', ARGV[13])
freed(ARGV[14], ARGV[2], ARGV[9])
return 'opened'
