-- Read by wrk before and after its run. The bench puts a line with keys, tag, orders, pause
-- and THREADS in front. keys is 0 for requests that are all the same, else each thread takes
-- n keys in turns, and starts at a place of its own. tag is an entity tag that each request
-- has, or empty. orders is a file with a request in each line (path, cookie and user), of
-- which each thread sends its part once, or empty. pause is for how many milliseconds a
-- connection rests between two requests, on average; 0 for not at all.
if tag ~= "" then
   wrk.headers["If-None-Match"] = tag
end

local threads = 0

function setup(thread)
   thread:set("at", math.floor(threads * keys / THREADS))
   thread:set("mine", threads)
   threads = threads + 1
end

local requests = {}

if keys > 0 or orders ~= "" then
   function init(args)
      for i = 1, keys do
         requests[i] = wrk.format("GET", "/", { ["X-Key"] = string.format("user-%08d", i) })
      end
      if orders ~= "" then
         local n = 0
         for line in io.lines(orders) do
            if n % THREADS == mine then
               local path, cookie, user = string.match(line, "^(%S+) (%S+) (%S+)$")
               requests[#requests + 1] = wrk.format("POST", path, { ["Cookie"] = "session=" .. cookie, ["X-User"] = user })
            end
            n = n + 1
         end
      end
      math.randomseed(mine + 1)
   end

   function request()
      at = at % #requests + 1
      return requests[at]
   end
end

if pause > 0 then
   function delay()
      return math.random(0, 2 * pause)
   end
end
