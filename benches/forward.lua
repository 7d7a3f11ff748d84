-- Posts uplinks whose frame counter is the time of sending, in microseconds, so that whoever gets
-- them can tell how long they took: wrk -s forward.lua URL -- KEY DEVICES [RATE CONNECTIONS]
-- With a rate, that many a second over all connections; without, as many as are answered.
local ffi = require("ffi")
ffi.cdef [[
   typedef struct { long seconds; long microseconds; } moment;
   int gettimeofday(moment *now, void *zone);
]]
local now = ffi.new("moment")
local counter = 0

function init(args)
   key, devices = args[1], tonumber(args[2])
   local rate, connections = tonumber(args[3]), tonumber(args[4])
   if rate then
      local wait = connections / rate * 1000
      local carried = 0
      -- Whole milliseconds alone can be waited for; what is left over is waited for later.
      function delay()
         carried = carried + wait * (0.5 + math.random())
         local whole = math.floor(carried)
         carried = carried - whole
         return whole
      end
   end
end

function request()
   counter = counter + 1
   ffi.C.gettimeofday(now, nil)
   local sent = (tonumber(now.seconds) * 1000000 + tonumber(now.microseconds)) % 4294967296
   local body = string.format(
      '{"end_device_ids":{"device_id":"bench","dev_eui":"%016X"},' ..
      '"uplink_message":{"f_port":85,"f_cnt":%.0f,"frm_payload":"AXVkA2cYAQRobQ==",' ..
      '"rx_metadata":[{"gateway_ids":{"gateway_id":"gateway-1"},"rssi":-35,"snr":13.2}],' ..
      '"settings":{"data_rate":{"lora":{"bandwidth":125000,"spreading_factor":7}},"frequency":"867100000"}}}',
      counter % devices + 1, sent)
   return wrk.format("POST", nil, {["Authorization"] = "Bearer " .. key, ["Content-Type"] = "application/json"}, body)
end

function done(summary, latency)
   local failed = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
   io.write(string.format("RESULT %d %.1f %d\n", summary.requests, summary.requests / summary.duration * 1e6, failed))
end
