-- Backlog looks at the outbox, and at a part of held. ARGV: the cursor, about how many
-- of held to look at, 1 to look at the outbox, then orders to pass over in held.
--
-- Reply: 'closed', or an array: the time in us, how many are in the outbox, when the
-- oldest of those entered, the next cursor, when the oldest of this part of held
-- entered; '' for none. Of the leased ones it looks at those whose leases end first.
local LOOKED_AT = 500
if not open_head() then
  return 'closed'
end
local now = clock()

local oldest
local function older(entered)
  local n = tonumber(entered)
  if n and (not oldest or n < oldest) then
    oldest = n
  end
end
local function found()
  return oldest and text(oldest) or ''
end

local waiting, outbox = 0, ''
if ARGV[3] == '1' then
  waiting = redis.call('ZCARD', OUTBOX) + redis.call('ZCARD', LEASED)
  older(redis.call('ZRANGE', OUTBOX, 0, 0, 'WITHSCORES')[2])
  local records = fetch(HELD, redis.call('ZRANGE', LEASED, 0, LOOKED_AT - 1))
  for i = 1, #records do
    if records[i] then
      older(string.match(records[i], '^%d+ %d+ (%d+) '))
    end
  end
  outbox = found()
end

oldest = nil
local except = {}
for i = 4, #ARGV do
  except[ARGV[i]] = true
end
local page = redis.call('HSCAN', HELD, ARGV[1], 'COUNT', ARGV[2])
for i = 1, #page[2], 2 do
  if not except[page[2][i]] then
    older(string.match(page[2][i + 1], '^%d+ %d+ (%d+) '))
  end
end
return {text(now), text(waiting), outbox, page[1], found()}
