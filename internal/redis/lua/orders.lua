-- Behind head.lua in the verbs that decide: they read what they need at
-- once, compute here, and write it at once.
local held, decided = {}, {} -- by order; false: there is none
local bought, prior = {}, {} -- by user
local users = {}             -- whose share has changed, in order

local left, buyers, gone = {}, {}, {}

local function read_users(names)
  local fields = {}
  for i = 1, #names do
    fields[i] = 'u:' .. names[i]
  end
  local values = fetch(BUYERS, fields)
  for i = 1, #names do
    bought[names[i]], prior[names[i]] = share_of(values[i])
  end
end

local function read(orders, names)
  local values = fetch(HELD, orders)
  local fields = {}
  for i = 1, #orders do
    held[orders[i]] = values[i]
    fields[i] = 'o:' .. orders[i]
  end
  values = fetch(BUYERS, fields)
  for i = 1, #orders do
    decided[orders[i]] = values[i]
  end
  read_users(names)
end

-- share adds units to a user's share, for an order if it is given.
local function share(user, units, order)
  if not bought[user] then
    read_users({user})
  end
  bought[user] = bought[user] + units
  if order then
    prior[user] = order
  end
  users[#users + 1] = user
end

-- release undoes a hold: the order leaves held and outbox, units and share go back.
local function release(head, order)
  local units, _, _, user = parse(held[order])
  held[order] = false
  left[#left + 1] = order
  share(user, -units)
  head.free = head.free + units
  head.held = head.held - units
end

-- remember keeps the payload of a decided id, so that its repeat is known.
local function remember(order, units, user)
  local payload = units .. ' ' .. user
  decided[order] = payload
  buyers[#buyers + 1] = 'o:' .. order
  buyers[#buyers + 1] = payload
end

-- save writes everything that has changed.
local function save(head)
  send('HDEL', HELD, left)
  forget(left)
  for i = 1, #users do
    local user = users[i]
    if bought[user] and bought[user] > 0 then
      buyers[#buyers + 1] = 'u:' .. user
      buyers[#buyers + 1] = text(bought[user]) .. ' ' .. prior[user]
    elseif bought[user] then
      gone[#gone + 1] = 'u:' .. user
    end
    bought[user] = nil
  end
  send('HSET', BUYERS, buyers)
  send('HDEL', BUYERS, gone)
  redis.call('HSET', HEAD, 'applied', text(head.applied), 'free', text(head.free), 'held', text(head.held),
    'starts', text(head.starts), 'ends', text(head.ends))
end
