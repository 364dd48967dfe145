-- Read by wrk before and after its run. The bench puts a line with keys, tag and THREADS in front.
-- keys is 0 for requests that are all the same, else each thread takes n keys in turns, and
-- starts at a place of its own. tag is an entity tag that each request has, or empty.
if tag ~= "" then
   wrk.headers["If-None-Match"] = tag
end

if keys > 0 then
   local threads = 0

   function setup(thread)
      thread:set("at", math.floor(threads * keys / THREADS))
      threads = threads + 1
   end

   local requests = {}

   function init(args)
      for i = 1, keys do
         requests[i] = wrk.format("GET", "/", { ["X-Key"] = string.format("user-%08d", i) })
      end
   end

   function request()
      at = at % keys + 1
      return requests[at]
   end
end

function done(summary, latency, requests)
   local e = summary.errors
   io.write(string.format(
      'RESULT {"requests":%d,"microseconds":%d,"refused":%d,"failed":%d,"bytes":%d,"p50":%d,"p99":%d}\n',
      summary.requests, summary.duration, e.status, e.connect + e.read + e.write + e.timeout, summary.bytes,
      latency:percentile(50), latency:percentile(99)))
end
