-- Reads one thing again and again: wrk -s get.lua URL -- TOKEN
function init(args)
   wrk.headers["Authorization"] = "Bearer " .. args[1]
end

function done(summary, latency)
   local failed = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
   io.write(string.format("RESULT %.1f %.3f %.3f %d\n", summary.requests / summary.duration * 1e6,
      latency:percentile(50) / 1000, latency:percentile(99) / 1000, failed))
end
