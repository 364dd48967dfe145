-- Apply follows the log. ARGV: the channel of what comes free, then of each entry: seq,
-- starts, ends, the number of its changes, then kind, order, user and units of each.
--
-- Reply: 'closed', or the seq that is applied now.
local head = open_head()
if not head then
  return 'closed'
end

-- The entries that are next, up to a gap, and what is to be read for them.
local entries, orders, names = {}, {}, {}
local at = 2
while at <= #ARGV do
  local seq, count = tonumber(ARGV[at]), tonumber(ARGV[at + 3])
  if seq > head.applied + 1 then
    break
  end
  local after = at + 4 + 4 * count
  if seq == head.applied + 1 then
    head.applied = seq
    entries[#entries + 1] = at
    for i = at + 4, after - 1, 4 do
      if ARGV[i + 1] ~= '' then
        orders[#orders + 1] = ARGV[i + 1]
        names[#names + 1] = ARGV[i + 2]
      end
    end
  end
  at = after
end
if #entries == 0 then
  return text(head.applied)
end
read(orders, names)

local free, moved = head.free, false
for _, entry in ipairs(entries) do
  for i = entry + 4, entry + 3 + 4 * tonumber(ARGV[entry + 3]), 4 do
    local kind, order, user, units = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
    if kind == 'placed' then
      -- Not one step for both: what was held may have another payload than the row.
      if held[order] then
        release(head, order)
      end
      head.free = head.free - units
      share(user, units, order)
      remember(order, ARGV[i + 3], user)
    elseif kind == 'rejected' then
      if held[order] then
        release(head, order)
      end
      if not decided[order] then
        remember(order, ARGV[i + 3], user)
      end
    elseif kind == 'cancelled' then
      head.free = head.free + units
      share(user, -units)
      if not decided[order] then
        remember(order, ARGV[i + 3], user)
      end
    elseif kind == 'restock' then
      head.free = head.free + units
    elseif kind == 'window' then
      head.starts, head.ends = tonumber(ARGV[entry + 1]), tonumber(ARGV[entry + 2])
      moved = true
    else
      return redis.error_reply('ERR unknown change ' .. kind) -- nothing has been written
    end
  end
end
save(head)
if head.free > free or moved then
  freed(ARGV[1], head.epoch, text(head.applied))
end
return text(head.applied)
