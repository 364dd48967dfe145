-- Open is the last step of opening: what the database knows lies in the staging key,
-- KEYS[6]. ARGV: the incarnation, the epoch, a token of this opening, stock left, seq,
-- starts, ends, limit, bound, the number of fields staged, then the dead letters.
--
-- Reply: 'refused', 'lost' when the staging key is not whole, or an array: free, held,
-- the number of orders that went to the outbox.
local STAGED = KEYS[6]
local token, left = ARGV[3], tonumber(ARGV[4])

if incarnation() ~= ARGV[1] then
  return 'refused'
end
local old = redis.call('HMGET', HEAD, 'epoch', 'opening')
if old[2] then
  local who, free, units, requeued = string.match(old[2], '^(%S+) (%S+) (%S+) (%S+)$')
  if who == token then
    return {free, units, requeued} -- a repeat, because the first reply was lost
  end
end
if old[1] and tonumber(old[1]) >= tonumber(ARGV[2]) then
  return 'refused'
end
if redis.call('HLEN', STAGED) ~= tonumber(ARGV[10]) then
  return 'lost'
end
local dead = {}
for i = 11, #ARGV do
  dead[ARGV[i]] = true
end

-- What survived in held.
local all = redis.call('HGETALL', HELD)
local fields = {}
for i = 1, #all, 2 do
  fields[#fields + 1] = 'o:' .. all[i]
end
local rows = fetch(STAGED, fields)
local now = clock()
local units_held, shares, prior = 0, {}, {}
local names, decided, waiting, restamped = {}, {}, {}, {}
for i = 1, #rows do
  local order = all[2 * i - 1]
  if rows[i] then
    decided[#decided + 1] = order
  else
    local units, at, entered, user = parse(all[2 * i])
    units_held = units_held + units
    if not shares[user] then
      names[#names + 1] = user
    end
    shares[user] = (shares[user] or 0) + units
    prior[user] = order
    if tonumber(entered) > now then -- by the clock of a server that was ahead
      entered = text(now)
      restamped[#restamped + 1] = order
      restamped[#restamped + 1] = record(units, at, entered, user)
    end
    if not dead[order] then
      waiting[#waiting + 1] = entered
      waiting[#waiting + 1] = order
    end
  end
end
send('HDEL', HELD, decided)
send('HSET', HELD, restamped)
redis.call('DEL', OUTBOX, LEASED)
send('ZADD', OUTBOX, waiting)

-- Buyers are those of the database and of what is still held.
fields = {}
for i = 1, #names do
  fields[i] = 'u:' .. names[i]
end
rows = fetch(STAGED, fields)
local buyers = {}
for i = 1, #names do
  local units = rows[i] and string.match(rows[i], '^(%d+)') or 0
  buyers[#buyers + 1] = fields[i]
  buyers[#buyers + 1] = text(units + shares[names[i]]) .. ' ' .. prior[names[i]]
end
send('HSET', STAGED, buyers)
redis.call('UNLINK', BUYERS)
if redis.call('PERSIST', STAGED) == 1 or redis.call('EXISTS', STAGED) == 1 then
  redis.call('RENAME', STAGED, BUYERS)
end

local free, units, requeued = text(left - units_held), text(units_held), text(#waiting / 2)
redis.call('HSET', HEAD, 'epoch', ARGV[2], 'incarnation', ARGV[1], 'opening', token .. ' ' .. free .. ' ' .. units .. ' ' .. requeued,
  'free', free, 'held', units, 'applied', ARGV[5], 'starts', ARGV[6], 'ends', ARGV[7], 'limit', ARGV[8], 'bound', ARGV[9])
return {free, units, requeued}
