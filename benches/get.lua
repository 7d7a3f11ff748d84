-- Reads many things in turn: wrk -s get.lua URL -- TOKEN COUNT; the number is put behind the URL.
local counter = 0

function init(args)
   count = tonumber(args[2])
   wrk.headers["Authorization"] = "Bearer " .. args[1]
end

function request()
   counter = counter + 1
   return wrk.format("GET", wrk.path .. (counter * 7919 % count + 1))
end

function done(summary, latency)
   local failed = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
   io.write(string.format("RESULT %.1f %.3f %.3f %d\n", summary.requests / summary.duration * 1e6,
      latency:percentile(50) / 1000, latency:percentile(99) / 1000, failed))
end
