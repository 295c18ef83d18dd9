--- What the sandbox tests share: a store in memory and a clock that stands still.

local support = {}

--- A neap.store in memory.
support.store = require("lib.memory_store")

local SUMMER_MS = 3600000

--- A clock that stands at 2026-05-04T10:03:00Z until it is moved. Any zone is one hour ahead of
--- UTC, so that no test depends on the zone files of the machine.
---@return table time
function support.time()
    local real = require("neap.time")
    local clock = {ms = 1777888980000}
    function clock.now_ms()
        return clock.ms
    end
    function clock.parse_iso(text, options)
        if not options then
            return real.parse_iso(text)
        end
        local ms, err = real.parse_iso(text .. "Z")
        return ms and ms - SUMMER_MS, err
    end
    function clock.format_iso(ms, options)
        if not options then
            return real.format_iso(ms)
        end
        return (real.format_iso(ms + SUMMER_MS):gsub("Z$", "+01:00"))
    end
    return clock
end

return support
