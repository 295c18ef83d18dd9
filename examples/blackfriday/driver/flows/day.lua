--- A peak day, minute by minute: what is due is done, what is new is planned, and when all has come
--- to rest the books are compared.
local acts = require("day.acts")
local agenda = require("day.agenda")
local books = require("day.books")
local outside = require("day.outside")
local plan = require("day.plan")
local store = require("neap.store")
local summary = require("day.summary")
local time = require("neap.time")

local MINUTE_MS = 60000
local HOUR_MS = 60 * MINUTE_MS
local SETTLES_AFTER_MS = 28 * HOUR_MS
local GIVES_UP_AFTER_MS = 4 * HOUR_MS -- the first comparison
local COMPARES_EVERY_MS = 10 * MINUTE_MS

local STATE = "day"

local function begin(job)
    local state = {start_ms = time.now_ms() // MINUTE_MS * MINUTE_MS, last_id = 0}
    state.compare_ms = state.start_ms + SETTLES_AFTER_MS
    plan.begin(job.settings, state.start_ms)
    outside.say(summary.head())
    return state
end

local function take_news(job, state)
    for _, order in ipairs(outside.shop_orders(state.last_id)) do
        state.last_id = order.id
        plan.placed(job.settings, order)
    end
    for _, order in ipairs(outside.khaos_pages("orders", state.last_code)) do
        state.last_code = order.code
        plan.posted(job.settings, order)
    end
end

-- True when the day is over.
local function compare(job, state, now_ms)
    if now_ms < state.compare_ms or agenda.is_pending() then
        return false
    end
    state.compare_ms = now_ms + COMPARES_EVERY_MS
    state.late_ms = state.late_ms or now_ms + GIVES_UP_AFTER_MS
    acts.sabotage(job.settings, state)
    acts.run({act = "office"}, job.settings)
    local found = books.compare()
    if #found.problems > 0 and now_ms < state.late_ms then
        return false
    end
    summary.tell(found)
    outside.desk("end", found)
    return true
end

local function run(job)
    local state = store.get(STATE, "state") or begin(job)
    if state.is_over then
        return
    end
    local now_ms = time.now_ms()
    take_news(job, state)
    agenda.run_due(now_ms, function(entry)
        acts.run(entry, job.settings)
    end)
    state.is_over = compare(job, state, now_ms)
    store.put(STATE, "state", state)
end

return {
    name = "day",
    version = 1,
    triggers = {{kind = "schedule", name = "minute", every_ms = MINUTE_MS}},
    run = run,
}
