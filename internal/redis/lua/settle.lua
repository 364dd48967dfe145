-- Settle releases what was reserved again after its decision. ARGV: the seq that
-- decided, then the orders.
--
-- Reply: 'closed' or 'ok'.
local head = open_head()
if not head then
  return 'closed'
end
if tonumber(ARGV[1]) > head.applied then
  return 'ok'
end
local orders = {}
for i = 2, #ARGV do
  orders[i - 1] = ARGV[i]
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
end
return 'ok'
