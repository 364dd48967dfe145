-- Read by wrk. A line with sale, users, first and THREADS stands in front of it: each
-- request is a purchase in the sale, by one of the users in turns; each thread begins at
-- a place of its own.
local threads = 0

function setup(thread)
   thread:set("at", math.floor(threads * users / THREADS))
   threads = threads + 1
end

local requests = {}

function init(args)
   for i = 1, users do
      requests[i] = wrk.format("POST", "/buy/" .. sale, { ["X-User"] = string.format("%.0f", first + i - 1) })
   end
end

function request()
   at = at % users + 1
   return requests[at]
end
