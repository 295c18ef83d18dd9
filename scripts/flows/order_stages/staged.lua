--- Postings that were shown before they go: what was shown, and what became of it.
local store = require("neap.store")

local staged = {}

-- key -> {number, subject, digest, rule, shown_ms, state, how, by, reason, approved_ms, is_going,
-- unit_ids}
local TABLE = "orders_staged"
-- key -> the posting itself, until it is posted or dismissed; `neap erase` reaches it
local POSTINGS = "personal_staged_postings"

--- With its posting. Nil also when that was erased before it went: then nothing was shown that
--- could still be approved.
---@param key string of the order
---@return table|nil
function staged.get(key)
    local entry = store.get(TABLE, key)
    if not entry then
        return nil
    end
    entry.posting = store.get(POSTINGS, key)
    local is_open = entry.state == "shown" or entry.state == "approved"
    return (entry.posting or not is_open) and entry or nil
end

---@param key string
---@param entry table
function staged.keep(key, entry)
    local posting = entry.posting
    entry.posting = nil
    store.put(TABLE, key, entry)
    entry.posting = posting
    if posting then
        store.put(POSTINGS, key, posting)
    else
        store.delete(POSTINGS, key)
    end
end

--- No rule asks for it any more.
---@param key string
function staged.forget(key)
    store.delete(TABLE, key)
    store.delete(POSTINGS, key)
end

local function change(key, fields)
    local entry = store.get(TABLE, key)
    if not entry then
        return
    end
    for name, value in pairs(fields) do
        entry[name] = value
    end
    store.put(TABLE, key, entry)
end

--- The import is about to leave: the posting is final until its outcome is known.
---@param key string
function staged.going(key)
    change(key, {is_going = true})
end

--- The import was refused: nothing of it is in Khaos.
---@param key string
function staged.came_back(key)
    change(key, {is_going = false})
end

--- Khaos took it: who approved what stays, the posting itself (a person's data) goes.
---@param key string
function staged.posted(key)
    local entry = store.get(TABLE, key)
    if entry then
        entry.state, entry.unit_ids = "posted", nil
        staged.keep(key, entry)
    end
end

return staged
