-- View reads the head, also of a closed sale.
--
-- Reply: 'none' without a head, or an array: 1 when open, the time in ms, then the
-- head's fields.
local h = redis.call('HMGET', HEAD, 'incarnation', 'epoch', 'applied', 'free', 'held', 'starts', 'ends', 'limit')
if not h[1] then
  return 'none'
end
local open = h[1] == incarnation() and '1' or '0'
return {open, text(math.floor(clock() / 1000)), h[2], h[3], h[4], h[5], h[6], h[7], h[8]}
