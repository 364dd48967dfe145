-- Remove takes away what the gate knows of a sale. The head stays for a while, as that of
-- a sale that is closed: an opening from before its removal is of its epoch or of an
-- earlier one, and is refused. ARGV: for how long, in ms. KEYS[6] is the mark of an opening.
--
-- Reply: 'open' while its window is not over, or 'removed'.
local head = open_head()
if head and math.floor(clock() / 1000) < head.ends then
  return 'open'
end
redis.call('UNLINK', HELD, OUTBOX, LEASED, BUYERS, KEYS[6])
if redis.call('EXISTS', HEAD) == 1 then
  redis.call('HSET', HEAD, 'incarnation', 'removed', 'held', '0')
  redis.call('PEXPIRE', HEAD, ARGV[1])
end
return 'removed'
