--- The job of an event "units.asked": SCAYLE asks whether these units of a posted order, which it
--- does not show as cancelled, can be. Khaos is asked, and what its order shows then is the
--- decision (flows.cancellation_stages.part gives it to SCAYLE). On the key of the looks, so that
--- an order is amended by one job at a time.
---
---     Khaos has none of them any more            successful
---     Khaos takes them out, and shows it         successful
---     some have left                             refused, and "cancel_part"
---     others wait on a person's list to be taken out, no add-on, or Khaos does not do it
---                                                refused, and "cancel_part"
---     Khaos cancelled the whole order meanwhile  refused until its status feed has told it
---     Khaos says that it did it, and shows no order
---                                                refused, "cancel_part", and looked for
local amending = require("flows.unit_stages.amending")
local compare = require("flows.unit_stages.compare")
local decide = require("flows.cancellation_stages.decide")
local json = require("neap.json")
local open = require("flows.order_stages.open")
local order_units = require("flows.order_units")
local part_desk = require("flows.cancellation_stages.part_desk")
local support = require("flows.order_stages.support")
local take_out = require("flows.unit_stages.take_out")
local unit_book = require("flows.unit_book")
local wanted = require("flows.unit_stages.wanted")

-- With what SCAYLE shows as cancelled: Khaos imports the rest of it all.
local function together(work, asked)
    local ids = compare.shown_cancelled(work)
    return table.move(asked.units, 1, #asked.units, #ids + 1, ids)
end

local function count_in(list, ids)
    local set, count = {}, 0
    for _, id in ipairs(ids) do
        set[id] = true
    end
    for _, id in ipairs(list) do
        count = count + (set[id] and 1 or 0)
    end
    return count
end

local function refuse(work, asked, words, has_left)
    part_desk.ask(work.job, work.record, asked, words, has_left)
    decide.note(work.job, asked.name, "refused", words or "a person must cancel a part of it")
end

local function is_cancelled(key, ids)
    local book = order_units.load(key)
    for _, id in ipairs(ids) do
        local unit = unit_book.unit(book, id)
        if unit and not unit.cancelled then
            return false
        end
    end
    return true
end

local function have_taken_out(work, asked, found)
    local code = work.record.order_code
    if found.kept == 0 and amending.is_lost(work.key) then
        return refuse(work, asked, "Khaos does not show the order, which may be lost there")
    end
    local entry, is_out, words = take_out(work, found)
    if not is_out and amending.is_lost(work.key) then
        wanted.look_for(entry)
    end
    if not is_out then
        refuse(work, asked, words)
    elseif is_cancelled(work.key, asked.units) then
        decide.note(work.job, asked.name, "successful", "Khaos took them out of " .. code)
    else
        decide.note(work.job, asked.name, "refused", code .. " is cancelled in Khaos as a whole, "
            .. "which SCAYLE is told with its news")
    end
end

--- One question.
---@async
---@param job neap.Job
return function(job)
    local said = json.decode(job.event.payload)
    local key, asked = said.order_key, said.asked
    if decide.known(asked.name) then
        return -- an earlier one was not answered in time, and is decided
    end
    local record = support.record(key)
    local work = open.of_record(job, record)
    work.key, work.record = key, record
    wanted.prove(work)
    work.order = compare.fetch(work)
    -- Remembered: once Khaos was asked, a repeat asks for the same, whatever is known by then.
    local found = job:step("compare", function()
        return compare.of(order_units.load(key), together(work, asked))
    end)
    local left, here = count_in(found.left, asked.units), count_in(found.open, asked.units)
    if left > 0 then
        refuse(work, asked, string.format("%d of these units have left", left), true)
    elseif here == 0 then
        decide.note(job, asked.name, "successful", "Khaos has none of them any more")
    elseif here < #found.open then
        refuse(work, asked, "others of its units wait to be taken out of it")
    else
        have_taken_out(work, asked, found)
    end
end
