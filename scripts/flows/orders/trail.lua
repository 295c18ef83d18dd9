--- The penny trail: readable lines telling how each Khaos figure came from SCAYLE figures, and the
--- same as data.
local json = require("neap.json")

local trail = {}

---@class orders.Trail
---@field lines string[]
---@field data table
local Trail = {}
Trail.__index = Trail

--- An empty trail.
---@return orders.Trail
function trail.new()
    return setmetatable({lines = {}, data = {notes = {}, lines = {},
        mechanics = json.array({})}}, Trail)
end

--- A line of the trail.
---@param text string
---@param ... any for string.format
function Trail:say(text, ...)
    self.lines[#self.lines + 1] = string.format(text, ...)
end

--- A line about something left out or decided on the way, kept in the data too.
---@param text string
---@param ... any for string.format
function Trail:note(text, ...)
    local line = string.format(text, ...)
    self.lines[#self.lines + 1] = line
    self.data.notes[#self.data.notes + 1] = line
end

--- Plain tables, for handing over.
---@return {lines: string[], data: table}
function Trail:plain()
    return {lines = self.lines, data = self.data}
end

return trail
