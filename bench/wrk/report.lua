
-- What wrk did, as one line of JSON. It stands behind the script of each run.
function done(summary, latency, requests)
   local e = summary.errors
   io.write(string.format(
      'RESULT {"requests":%d,"microseconds":%d,"refused":%d,"failed":%d,"bytes":%d,"p50":%d,"p99":%d}\n',
      summary.requests, summary.duration, e.status, e.connect + e.read + e.write + e.timeout, summary.bytes,
      latency:percentile(50), latency:percentile(99)))
end
