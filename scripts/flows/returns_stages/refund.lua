--- What SCAYLE tells after the sale. A message is a reason to look: what happened is what the order
--- shows. Only what the order never shows is taken from the message: fees it refunds, an amount it
--- states.
local cancelled = require("flows.returns_stages.cancelled")
local look = require("flows.returns_stages.look")
local offer = require("flows.returns_stages.offer")
local order_units = require("flows.order_units")
local process = require("flows.returns_stages.process")
local refund_book = require("flows.refund_book")
local khaos_line = require("flows.khaos_line")
local time = require("neap.time")
local worklist = require("flows.returns_stages.worklist")

local refund = {}

-- Takes in what the order shows, which is known from now on, however old the message is; gives the
-- units that came back and were not known to be.
local function tell(job, said, sale)
    local news = {id = said.id, at_ms = time.now_ms(), sale = sale, fees = said.fees,
        message = said.message, refund_id = said.refund_id,
        stated = said.amount and said.refund_id and {id = said.refund_id, minor = said.amount}
            or nil}
    return order_units.change(said.order_key, function(book)
        return refund_book.tell(book, news)
    end)
end

-- What Khaos can do by itself with units that came back and that nobody deals with yet.
local function pass_on(job, said)
    if khaos_line.new(job.settings.khaos).capabilities.create_return then
        local ok, problem = offer.open_goods(job, said.order_key, "scayle:" .. said.id)
        if not ok then
            job:note("returns", "not offered to Khaos: " .. problem)
        end
    elseif worklist.can_process(job) then
        process.begin(job, said.order_key, said.id)
    end
end

-- A message may overtake what it is about: the units it names, or that a refund is for.
local function is_early(said, book)
    local ledger = refund_book.of(book)
    for _, id in ipairs(said.units or {}) do
        if said.kind == "returned" and not ledger.units[id] then
            return true
        end
    end
    return said.kind ~= "returned" and refund_book.open(book).unexplained_minor ~= 0
end

-- Has the order looked at again, on a key where waiting holds nothing else up.
local function look_later(job, said)
    job:emit({source = "scayle.early", id = said.order_key .. ":" .. said.id,
        key = "refund:" .. said.order_key, about = said.order_key, name = "scayle.refund",
        payload = said})
end

-- What the order shows now, taken in.
local function look_and_settle(job, said, name, is_final)
    local units = tell(job, said, look(job, said.order_key, name))
    pass_on(job, said)
    cancelled.tell(job, said.order_key, said.id)
    worklist.settle(job, said.order_key, "SCAYLE and Khaos agree", is_final)
    return units
end

--- The job of one message.
---@async
---@param job neap.Job
---@param said {order_key: string, id: string, kind: string, units: string[]|nil,
---   fees: table[]|nil, amount: integer|nil, refund_id: string|nil, message: string|nil}
function refund.run(job, said)
    if not order_units.load(said.order_key) then
        job:note("returns", "about an order that we did not post")
        return
    end
    said.message = said.message or said.id
    local units = look_and_settle(job, said, "order 1")
    if not is_early(said, order_units.load(said.order_key)) then
        job:note("returns", string.format("%d units came back to SCAYLE", #units))
    elseif job.event.name == "scayle.returned" then
        look_later(job, said)
    else
        job:sleep("the order shows it", job.settings.refund_wait_ms)
        said.id = said.id .. ":later"
        look_and_settle(job, said, "order 2", true)
    end
end

return refund
