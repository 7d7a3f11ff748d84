-- What the scripts for wrk have in common: they count the requests that they make in `made`, and print
-- RESULT, requests made, answered, answered a second, p50 and p99 in milliseconds, and failed.
local threads = {}
made = 0

function setup(thread)
   table.insert(threads, thread)
end

function done(summary, latency)
   local errors = summary.errors
   local failed = errors.status + errors.connect + errors.read + errors.write + errors.timeout
   local total = 0
   for _, thread in ipairs(threads) do
      total = total + thread:get("made")
   end
   io.write(string.format("RESULT %.0f %.0f %.1f %.3f %.3f %.0f\n", total, summary.requests,
      summary.requests / summary.duration * 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000, failed))
end
