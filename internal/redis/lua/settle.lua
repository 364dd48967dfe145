-- Settle releases what was reserved again after its decision. ARGV: the channel of what
-- comes free, the seq that decided, then the orders.
--
-- Reply: 'closed' or 'ok'.
local head = open_head()
if not head then
  return 'closed'
end
if tonumber(ARGV[2]) > head.applied then
  return 'ok'
end
local orders = {}
for i = 3, #ARGV do
  orders[i - 2] = ARGV[i]
end
read(orders, {})
local changed = false
for _, order in ipairs(orders) do
  if held[order] then
    local units, _, _, user = parse(held[order])
    release(head, order)
    if not decided[order] then
      remember(order, units, user)
    end
    changed = true
  end
end
if changed then
  save(head)
  -- Answers from before and after carry the same seq: only the next one is certain.
  freed(ARGV[1], head.epoch, text(head.applied + 1))
end
return 'ok'
