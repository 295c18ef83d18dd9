---@meta neap.time
error("this file describes neap.time to editors; require(\"neap.time\") gives the module itself")

--- Instants are UTC milliseconds since 1970; text is ISO 8601; zones are IANA names or "UTC".
---@class neap.time
local time = {}

--- The wall clock, for durable instants; it may jump.
---@return integer ms
--- Example: `local received_at = time.now_ms()`
function time.now_ms() end

--- A clock that only goes forward, for durations.
---@return integer ms
--- Example: `local began = time.mono_ms()`
function time.mono_ms() end

--- Reads "2026-05-04T10:02:58.123+01:00": "T" or a space, seconds and fraction optional, "Z" or an
--- offset. Without either, and for a date alone (its midnight), a zone must be given. A clock time
--- that a zone skips is the first instant after the gap; one it has twice is the first.
--- Errors: invalid, not_found (zone).
---@param text string
---@param options {zone: string|nil}|nil used only when the text names no offset
---@return integer|nil ms
---@return neap.Error|nil
--- Example: `local ms, err = time.parse_iso("2026-05-04", {zone = "Europe/London"})`
function time.parse_iso(text, options) end

--- "2026-05-04T10:02:58Z", with the offset of the zone at that instant. Errors: invalid, not_found (zone).
---@param ms integer
---@param options {zone: string|nil, millis: boolean|nil}|nil default UTC without milliseconds
---@return string|nil
---@return neap.Error|nil
--- Example: `time.format_iso(0) == "1970-01-01T00:00:00Z"`
function time.format_iso(ms, options) end

--- The calendar day of an instant: "2026-05-04". Errors: invalid, not_found (zone).
---@param ms integer
---@param options {zone: string|nil}|nil default UTC
---@return string|nil
---@return neap.Error|nil
--- Example: `local day = time.format_date(time.now_ms(), {zone = "Europe/London"})`
function time.format_date(ms, options) end

return time
