-- Reserve decides a batch, in order. ARGV: how many orders are to be taken out of the
-- outbox before, and these, then order, user, units and at of each reservation.
--
-- Reply: 'closed', or an array: the epoch, the seq that is applied, ms until the start
-- and until the end, one letter for each reservation, then the earlier orders of those
-- with a B, in order; '' for none.
local head = open_head()
if not head then
  return 'closed'
end
local now = clock()
local ms, stamp = math.floor(now / 1000), text(now)

local published = tonumber(ARGV[1])
if published > 0 then
  local ids = {}
  for i = 1, published do
    ids[i] = ARGV[i + 1]
  end
  forget(ids)
end

local first = 2 + published
local orders, names = {}, {}
for i = first, #ARGV, 4 do
  orders[#orders + 1] = ARGV[i]
  names[#names + 1] = ARGV[i + 1]
end
read(orders, names)

local changed = false
local fresh, letters, priors = {}, {}, {}
for i = 1, #orders do
  local at_units = first + 4 * i - 2
  local order, user, units, at = orders[i], names[i], ARGV[at_units], ARGV[at_units + 1]
  local letter
  if decided[order] then
    letter = decided[order] == units .. ' ' .. user and 'A' or 'X'
  elseif held[order] then
    local u, _, _, who = parse(held[order])
    if u ~= units or who ~= user then
      letter = 'X'
    elseif fresh[order] or waits(order) then
      letter = 'P'
    else
      letter = 'A'
    end
  elseif ms >= head.ends then
    letter = 'E'
  elseif ms < head.starts then
    letter = 'N'
  else
    local n = tonumber(units)
    if head.held + n > head.bound then
      letter = 'Y'
    elseif bought[user] + n > head.limit then
      letter = 'B'
      priors[#priors + 1] = prior[user]
    elseif n > head.free then
      letter = 'S'
    else
      letter = 'P'
      fresh[order] = true
      hold(head, order, user, n, at, stamp)
      changed = true
    end
  end
  letters[i] = letter
end
if changed then
  save(head)
end
local reply = {head.epoch, text(head.applied), text(math.max(head.starts - ms, 0)), text(math.max(head.ends - ms, 0)), table.concat(letters)}
for i = 1, #priors do
  reply[i + 5] = priors[i]
end
return reply
