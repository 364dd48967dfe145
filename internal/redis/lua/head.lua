-- In front of every verb of the gate. KEYS are those of one sale, in this order.
local HEAD, HELD, OUTBOX, LEASED, BUYERS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

-- unpack gives at most some 8,000 values; even, so that pairs stay together.
local SOME = 4000

-- Lua's own notation of a number has 14 digits only, and %d as many as a C long.
local function text(n) return string.format('%.0f', n) end

-- clock is Redis' own time in microseconds.
local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end

-- incarnation names this life of the server. A restart gives it another run_id; who
-- becomes a primary takes another master_replid, also on the way back. Plain finds,
-- as patterns would double the cost (6 us with them, 12 without).
local function incarnation()
  local info = redis.call('INFO', 'server', 'replication')
  local _, a = string.find(info, '\nrun_id:', 1, true)
  local _, b = string.find(info, '\nmaster_replid:', a, true)
  return string.sub(info, a + 1, a + 40) .. ':' .. string.sub(info, b + 1, b + 40)
end

-- open_head reads the head, or nothing when the sale is closed: without a head, or
-- opened in another incarnation.
local function open_head()
  local h = redis.call('HMGET', HEAD, 'incarnation', 'epoch', 'applied', 'free', 'held', 'starts', 'ends', 'limit', 'bound')
  if h[1] ~= incarnation() then
    return nil
  end
  return {
    epoch = h[2], applied = tonumber(h[3]), free = tonumber(h[4]), held = tonumber(h[5]),
    starts = tonumber(h[6]), ends = tonumber(h[7]), limit = tonumber(h[8]), bound = tonumber(h[9]),
  }
end

-- fetch reads fields of a hash; those that are not there are false.
local function fetch(key, fields)
  if #fields > 0 and #fields <= SOME then
    return redis.call('HMGET', key, unpack(fields))
  end
  local values = {}
  for i = 1, #fields, SOME do
    local some = redis.call('HMGET', key, unpack(fields, i, math.min(i + SOME - 1, #fields)))
    for j = 1, #some do
      values[i + j - 1] = some[j]
    end
  end
  return values
end

-- send calls a command on a key with any number of arguments: all of a list, or from
-- first to last.
local function send(command, key, list, first, last)
  last = last or #list
  for i = first or 1, last, SOME do
    redis.call(command, key, unpack(list, i, math.min(i + SOME - 1, last)))
  end
end

-- A record of held: units, gateway's time in ms, time of entering the outbox in us
-- by Redis' clock, user.
local function record(units, at, entered, user)
  return units .. ' ' .. at .. ' ' .. entered .. ' ' .. user
end

local function parse(held)
  return string.match(held, '^(%d+) (%d+) (%d+) (.*)$')
end

-- share_of reads a user's share in buyers: units, and the last order.
local function share_of(value)
  if not value then
    return 0, ''
  end
  local units, order = string.match(value, '^(%d+) (.*)$')
  return tonumber(units), order
end

-- waits reports whether an order is in the outbox, leased or not.
local function waits(order)
  return redis.call('ZSCORE', OUTBOX, order) or redis.call('ZSCORE', LEASED, order)
end

-- forget takes the orders of a list out of the outbox, leased or not: all, or from first
-- to last.
local function forget(list, first, last)
  send('ZREM', OUTBOX, list, first, last)
  send('ZREM', LEASED, list, first, last)
end

-- freed tells the gateways that what was answered before this epoch and seq about the
-- sale being sold out counts no more. It comes last in a verb, and one that could not
-- tell has done its work all the same: who hears nothing asks again by itself.
local function freed(channel, epoch, seq)
  redis.pcall('PUBLISH', channel, epoch .. ' ' .. seq .. ' ' .. string.match(HEAD, '{(.*)}'))
end
