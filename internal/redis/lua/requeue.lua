-- Requeue puts orders back into the outbox that are held and not in it. ARGV: the
-- orders.
--
-- Reply: 'closed' or 'ok'.
if not open_head() then
  return 'closed'
end
local now = text(clock())
local records = fetch(HELD, ARGV)
local held, entered = {}, {}
for i = 1, #ARGV do
  local order = ARGV[i]
  if records[i] and not waits(order) then
    local units, at, _, user = parse(records[i])
    held[#held + 1] = order
    held[#held + 1] = record(units, at, now, user)
    entered[#entered + 1] = now
    entered[#entered + 1] = order
  end
end
send('HSET', HELD, held)
send('ZADD', OUTBOX, entered)
return 'ok'
