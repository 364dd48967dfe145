-- Waiting looks through a part of held for what is old and not in the outbox. ARGV:
-- the cursor, the age in us, about how many to look at.
--
-- Reply: 'closed', or an array: the next cursor, then order and record of each.
if not open_head() then
  return 'closed'
end
local before = clock() - tonumber(ARGV[2])
local page = redis.call('HSCAN', HELD, ARGV[1], 'COUNT', ARGV[3])
local reply = {page[1]}
for i = 1, #page[2], 2 do
  local order, held = page[2][i], page[2][i + 1]
  local _, _, entered = parse(held)
  if tonumber(entered) < before and not waits(order) then
    reply[#reply + 1] = order
    reply[#reply + 1] = held
  end
end
return reply
