-- Lease gives out what has been in the outbox for long. ARGV: age and lease in us,
-- the most to give out.
--
-- Reply: 'closed', or an array: order and record of each, oldest first.
if not open_head() then
  return 'closed'
end
local now = clock()

-- Leases that have ended go back, to where they were by age. Those beyond RETURNED
-- have to wait for the next call: their number has no other bound.
local RETURNED = 10000
local ended = redis.call('ZRANGEBYSCORE', LEASED, '-inf', text(now), 'LIMIT', 0, RETURNED)
local records = fetch(HELD, ended)
local back = {}
for i = 1, #ended do
  if records[i] then
    local _, _, entered = parse(records[i])
    back[#back + 1] = entered
    back[#back + 1] = ended[i]
  end
end
send('ZREM', LEASED, ended)
send('ZADD', OUTBOX, back)

local orders = redis.call('ZRANGEBYSCORE', OUTBOX, '-inf', '(' .. text(now - tonumber(ARGV[1])), 'LIMIT', 0, ARGV[3])
records = fetch(HELD, orders)
local ends = text(now + tonumber(ARGV[2]))
local leased, reply = {}, {}
for i = 1, #orders do
  if records[i] then
    leased[#leased + 1] = ends
    leased[#leased + 1] = orders[i]
    reply[#reply + 1] = orders[i]
    reply[#reply + 1] = records[i]
  end
end
send('ZREM', OUTBOX, orders)
send('ZADD', LEASED, leased)
return reply
