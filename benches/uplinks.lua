-- Posts uplinks of many devices in turn: wrk -t1 -s uplinks.lua URL -- KEY DEVICES [RATE CONNECTIONS]
-- With a rate, that many a second over all connections; without, as many as are answered.
--
-- The frame counter is the time of sending in microseconds and never comes twice, so that no uplink is
-- a copy of another, in this run or an earlier one, and a receiver can tell how long it took.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "summary.lua")
local ffi = require("ffi")
ffi.cdef [[
   typedef struct { long seconds; long microseconds; } moment;
   int gettimeofday(moment *now, void *zone);
]]
local now = ffi.new("moment")
-- The fault that the benchmarks must notice: every uplink of a device is the same frame.
local planted = os.getenv("BENCH_PLANT") == "copies"
local latest = 0
local formatted, time

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
   made = made + 1
   ffi.C.gettimeofday(now, nil)
   local sent = math.max(tonumber(now.seconds) * 1000000 + tonumber(now.microseconds), latest + 1)
   latest = sent
   local second, micros, counter = math.floor(sent / 1000000), sent % 1000000, sent % 4294967296
   if second ~= formatted then
      formatted, time = second, os.date("!%Y-%m-%dT%H:%M:%S", second)
   end
   if planted then
      time, micros, counter = "2026-01-01T00:00:00", 0, 1
   end
   local body = string.format(
      '{"end_device_ids":{"device_id":"bench","dev_eui":"%016X"},"received_at":"%s.%06dZ",' ..
      '"uplink_message":{"f_port":85,"f_cnt":%.0f,"frm_payload":"AXVkA2cYAQRobQ==",' ..
      '"rx_metadata":[{"gateway_ids":{"gateway_id":"gateway-1"},"rssi":-35,"snr":13.2}],' ..
      '"settings":{"data_rate":{"lora":{"bandwidth":125000,"spreading_factor":7}},"frequency":"867100000"}}}',
      made % devices + 1, time, micros, counter)
   return wrk.format("POST", nil, {["Authorization"] = "Bearer " .. key, ["Content-Type"] = "application/json"}, body)
end
