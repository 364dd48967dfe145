-- Reserve decides a batch, in order. ARGV: how many orders are to be taken out of the
-- outbox before, and these, then order, user, units and at of each reservation.
--
-- Reply: 'closed', or an array: the epoch, the seq that is applied, ms until the start
-- and until the end, one letter for each reservation, then the earlier orders of those
-- with a B, in order; '' for none.
--
-- All of a sale's load comes through here, and Redis runs one script at a time. So each
-- key is read once and written once, lists go by position, and a text is made only when
-- it is written.
local head = open_head()
if not head then
  return 'closed'
end
local now = clock()
local ms, entered = math.floor(now / 1000), text(now)

local published = tonumber(ARGV[1])
if published > 0 then
  forget(ARGV, 2, published + 1)
end

local orders, fields, count = {}, {}, 0
for at = published + 2, #ARGV, 4 do
  count = count + 1
  orders[count] = ARGV[at]
  fields[2 * count - 1] = 'o:' .. ARGV[at]
  fields[2 * count] = 'u:' .. ARGV[at + 1]
end
local held, known = fetch(HELD, orders), fetch(BUYERS, fields)

local fresh, share, last = {}, {}, {} -- what this batch changes: by order; by user
local new_held, new_entered, new_known, n = {}, {}, {}, 0
local letters, priors = {}, {}
for i = 1, count do
  local at = published + 4 * i - 2
  local order, user, units = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local letter
  if known[2 * i - 1] then
    letter = known[2 * i - 1] == units .. ' ' .. user and 'A' or 'X'
  elseif fresh[order] then
    local first = fresh[order]
    letter = ARGV[first + 1] == user and ARGV[first + 2] == units and 'P' or 'X'
  elseif held[i] then
    local u, _, _, who = parse(held[i])
    if u ~= units or who ~= user then
      letter = 'X'
    else
      letter = waits(order) and 'P' or 'A'
    end
  elseif ms >= head.ends then
    letter = 'E'
  elseif ms < head.starts then
    letter = 'N'
  else
    local wanted, has, prior = tonumber(units), share[user], last[user]
    if not has then
      has, prior = share_of(known[2 * i])
    end
    if head.held + wanted > head.bound then
      letter = 'Y'
    elseif has + wanted > head.limit then
      letter = 'B'
      priors[#priors + 1] = prior
    elseif wanted > head.free then
      letter = 'S'
    else
      letter = 'P'
      fresh[order], share[user], last[user] = at, has + wanted, order
      head.free, head.held = head.free - wanted, head.held + wanted
      new_held[n + 1], new_held[n + 2] = order, record(units, ARGV[at + 3], entered, user)
      new_entered[n + 1], new_entered[n + 2] = entered, order
      new_known[n + 1], new_known[n + 2] = fields[2 * i], (has == 0 and units or text(has + wanted)) .. ' ' .. order
      n = n + 2
    end
  end
  letters[i] = letter
end
if n > 0 then
  send('HSET', HELD, new_held)
  send('ZADD', OUTBOX, new_entered)
  send('HSET', BUYERS, new_known)
  redis.call('HSET', HEAD, 'free', text(head.free), 'held', text(head.held))
end
local reply = {head.epoch, text(head.applied), text(math.max(head.starts - ms, 0)), text(math.max(head.ends - ms, 0)), table.concat(letters)}
for i = 1, #priors do
  reply[i + 5] = priors[i]
end
return reply
