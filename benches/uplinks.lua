-- Posts uplinks of many devices in turn: wrk -s uplinks.lua URL -- KEY DEVICES
local counter = 0
local threads = 0

function setup(thread)
   thread:set("offset", threads * 7919)
   threads = threads + 1
end

function init(args)
   key, devices = args[1], tonumber(args[2])
   counter = offset
end

function request()
   counter = counter + 1
   local body = string.format(
      '{"end_device_ids":{"device_id":"bench","dev_eui":"%016X"},"received_at":"2026-01-01T00:00:00.123456Z",' ..
      '"uplink_message":{"f_port":85,"f_cnt":%d,"frm_payload":"AXVkA2cYAQRobQ==",' ..
      '"rx_metadata":[{"gateway_ids":{"gateway_id":"gateway-1"},"rssi":-35,"snr":13.2}],' ..
      '"settings":{"data_rate":{"lora":{"bandwidth":125000,"spreading_factor":7}},"frequency":"867100000"}}}',
      counter % devices + 1, counter)
   return wrk.format("POST", nil, {["Authorization"] = "Bearer " .. key, ["Content-Type"] = "application/json"}, body)
end

function done(summary, latency)
   local failed = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
   io.write(string.format("RESULT %.1f %.3f %.3f %d\n", summary.requests / summary.duration * 1e6,
      latency:percentile(50) / 1000, latency:percentile(99) / 1000, failed))
end
