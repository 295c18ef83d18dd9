--- Alerts in business words: what is wrong, who waits, the money, the age, the deadline, what to
--- do.
local money = require("neap.money")
local time = require("neap.time")

local words = {}

local MINUTE_MS = 60000
local HOUR_MS = 60 * MINUTE_MS
local DAY_MS = 24 * HOUR_MS
local SUBJECT_MAX = 150
local LISTED = 20 -- of one kind in one message

--- One line that every mail header can carry.
---@param text string
---@return string
function words.line(text)
    if not utf8.len(text) then
        text = text:gsub("[\x80-\xff]", "?")
    end
    text = text:gsub("%c+", " "):gsub("\xc2[\x80-\x9f]", " "):gsub("\xe2\x80[\xa8\xa9]", " ")
    if utf8.len(text) > SUBJECT_MAX then
        text = text:sub(1, utf8.offset(text, SUBJECT_MAX - 2) - 1) .. "..."
    end
    return text
end

--- "less than a minute", "40 minutes", "3 h", "2 days".
---@param ms integer
---@return string
function words.span(ms)
    local function plural(count, unit)
        return string.format("%d %s%s", count, unit, count == 1 and "" or "s")
    end
    if ms < MINUTE_MS then
        return "less than a minute"
    elseif ms < 2 * HOUR_MS then
        return plural(ms // MINUTE_MS, "minute")
    elseif ms < 2 * DAY_MS then
        return string.format("%d h", ms // HOUR_MS)
    end
    return plural(ms // DAY_MS, "day")
end

---@param count integer
---@param one string "problem"
---@return string
function words.count(count, one)
    return string.format("%d %s%s", count, one, count == 1 and "" or "s")
end

local function deadline(e, now_ms)
    if not e.deadline_ms then
        return nil
    elseif e.deadline_ms <= now_ms then
        return "the first deadline passed " .. words.span(now_ms - e.deadline_ms) .. " ago"
    end
    return "first deadline in " .. words.span(e.deadline_ms - now_ms)
end

--- "12 wait, GBP 164.92, open for 3 h, first deadline in 31 h"
---@param e table an exception, with what is at stake when that is known
---@param now_ms integer
---@return string
function words.stake(e, now_ms)
    local parts = {}
    if e.waiting > 0 then
        parts[#parts + 1] = string.format("%d wait%s", e.waiting, e.waiting == 1 and "s" or "")
    end
    if e.amount then
        local more = e.other_currency > 0 and " and other currencies" or ""
        parts[#parts + 1] = money.format(e.amount.minor, e.amount.currency) .. more
    end
    parts[#parts + 1] = "open for " .. words.span(now_ms - e.opened_ms)
    parts[#parts + 1] = deadline(e, now_ms)
    return table.concat(parts, ", ")
end

---@param e table
---@param now_ms integer
---@return string[] lines
function words.problem(e, now_ms)
    local lines = {words.line(e.message), "  " .. words.stake(e, now_ms)}
    if e.remedy and e.remedy ~= "" then
        lines[#lines + 1] = "  To do: " .. words.line(e.remedy)
    end
    -- As a shell reads it.
    lines[#lines + 1] = string.format("  See: neap exceptions show %s '%s'", e.cause,
        (words.line(e.subject):gsub("'", "'\\''")))
    return lines
end

--- Adds a list of problems under a heading, at most so many.
---@param lines string[]
---@param heading string
---@param list table[]
---@param now_ms integer
---@param show fun(e: table, now_ms: integer): string[]|nil default words.problem
---@param where string|nil where to see those that are not listed; default: among the open ones
function words.section(lines, heading, list, now_ms, show, where)
    if #list == 0 then
        return
    end
    lines[#lines + 1] = heading
    for i = 1, math.min(#list, LISTED) do
        lines[#lines + 1] = ""
        for _, line in ipairs((show or words.problem)(list[i], now_ms)) do
            lines[#lines + 1] = line
        end
    end
    if #list > LISTED then
        lines[#lines + 1] = ""
        lines[#lines + 1] = string.format("and %d more%s", #list - LISTED,
            where or ": neap exceptions")
    end
    lines[#lines + 1] = ""
end

--- The end of every message: who gets it and why.
---@param lines string[]
---@param owner string
---@param client string
---@param now_ms integer
---@param zone string
---@return string
function words.finish(lines, owner, client, now_ms, zone)
    lines[#lines + 1] = "--"
    lines[#lines + 1] = string.format("Neap, client %s, to %s at %s", client, owner,
        time.format_iso(now_ms, {zone = zone}))
    return table.concat(lines, "\n") .. "\n"
end

return words
