-- Reads many things in turn: wrk -t1 -s get.lua URL -- TOKEN COUNT; the number is put behind the URL.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "summary.lua")

function init(args)
   count = tonumber(args[2])
   wrk.headers["Authorization"] = "Bearer " .. args[1]
end

function request()
   made = made + 1
   return wrk.format("GET", wrk.path .. (made * 7919 % count + 1))
end
