-- Begin is the first step of opening: the sale is closed, so held stays as it is, and
-- this opening is the one that may finish. One that is open stays so, whatever the epoch:
-- what it has sold since the snapshot was read would be free again. ARGV: the incarnation,
-- the epoch, a token of this opening, how long it may take in ms, the channel of what comes
-- free. KEYS[6] is the mark of an opening that has begun: its epoch and token.
--
-- Reply: 'refused', or the time in us.
local OPENING = KEYS[6]
if incarnation() ~= ARGV[1] then
  return 'refused'
end
local epoch = tonumber(ARGV[2])
local head = redis.call('HMGET', HEAD, 'epoch', 'incarnation')
if head[2] == ARGV[1] or head[1] and tonumber(head[1]) >= epoch then
  return 'refused'
end
local mark = redis.call('GET', OPENING)
if mark and tonumber(string.match(mark, '^%d+')) > epoch then
  return 'refused' -- in one of the same epoch the last to begin may finish
end
redis.call('SET', OPENING, ARGV[2] .. ' ' .. ARGV[3], 'PX', ARGV[4])
freed(ARGV[5], ARGV[2], '0') -- closed is not sold out
return text(clock())
