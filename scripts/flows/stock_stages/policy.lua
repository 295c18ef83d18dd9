--- An edited policy changes figures of which nothing moves in Khaos: every code is marked again, a
--- page at each run. What comes out as before is not sent.
local crypto = require("neap.crypto")
local json = require("neap.json")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")

local PAGE = 5000

local policy = {}

local last -- the policy that was looked at last, and its digest
local last_digest

local function digest_of(given)
    if given ~= last then
        last, last_digest = given, crypto.sha256(assert(json.encode(given)))
    end
    return last_digest
end

--- Marks the next page, when the policy is another than the one the codes were marked for.
---@param job neap.Job
---@param now_ms integer
function policy.step(job, now_ms)
    local digest = digest_of(job.settings.policy)
    local state = store.get(tables.STATE, "policy")
    if not state or state.digest ~= digest then
        if state then
            job:note("stock", "the stock policy changed: every figure is worked out again")
        end
        state = {digest = digest, is_marking = true}
    elseif not state.is_marking then
        return
    end
    local page = store.range(tables.ITEMS, {after = state.after, limit = PAGE})
    for _, pair in ipairs(page) do
        tables.mark(pair.key, now_ms)
        state.after = pair.key
    end
    if #page < PAGE then
        state.is_marking, state.after = nil, nil
    end
    store.put(tables.STATE, "policy", state)
end

return policy
