--- What is to be done, and when.
local store = require("neap.store")

local agenda = {}

local TABLE = "agenda"

---@param due_ms integer
---@param entry {act: string}
function agenda.add(due_ms, entry)
    local number = store.increment("day_counts", "agenda")
    store.put(TABLE, ("%015d:%08d"):format(due_ms, number), entry)
end

--- Runs what is due, in order; entries may add others.
---@async
---@param now_ms integer
---@param run fun(entry: table)
function agenda.run_due(now_ms, run)
    while true do
        local first = store.range(TABLE, {limit = 1})[1]
        if not first or tonumber(first.key:sub(1, 15)) > now_ms then
            return
        end
        store.delete(TABLE, first.key)
        run(first.value)
    end
end

---@return boolean
function agenda.is_pending()
    return store.range(TABLE, {limit = 1})[1] ~= nil
end

return agenda
