--- The orders flow's seam to Khaos Control on-premise: customer and order are imported, each once
--- for ever by the effect ledger, and what was imported can be asked for.
local codes = require("flows.khaos_codes")
local customers = require("connectors.khaos_soap.customers")
local khaos_orders = require("connectors.khaos_soap.orders")
local staged = require("flows.order_stages.staged")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local unwanted = require("flows.order_stages.unwanted")

local line_soap = {confirm = require("flows.order_stages.read_back")}

--- What the mapper may assume of the client's mappings: all they say.
---@param mappings table
---@return table
function line_soap.mappings(mappings)
    return mappings
end

--- What is sent in the posting's place: nothing, its texts are sent as they are.
---@return nil
function line_soap.document()
    return nil
end

--- The customers that Khaos has under a reference.
---@async
---@param work table
---@param other_ref string
---@return table[]
function line_soap.find_customer(work, other_ref)
    local answer, err = work.job:step("find customer", function()
        local found, problem = customers.export_by_other_ref(work.khaos, other_ref)
        return found and {found = found}, problem
    end)
    return support.check(work, "Khaos", answer, err).found
end

--- Asks for stock codes that the mirror lacks; true when it has some of them now.
---@async
---@param work table
---@param wanted string[]
---@return boolean
function line_soap.ask_codes(work, wanted)
    local state = store.get("khaos_mirror", "state") or {}
    local answer, err = work.job:step("ask Khaos for stock codes", function()
        local known, problem = codes.ask(work.khaos, wanted, state.since_ms)
        return known and {known = known}, problem
    end)
    return #support.check(work, "Khaos", answer, err).known > 0
end

-- ---- posting ---------------------------------------------------------------------------------

-- An answer of the web server before Khaos: it refuses our requests, not this order.
local function is_web_server(err)
    return err.status ~= nil and err.status >= 400 and not err.maybe_sent
end

-- Khaos's faults do not say whether they will pass, so a faulted import is tried again a few
-- times before a person is asked; a skip is a decision of Khaos and is not.
local function retry_fault(work, name, err)
    if err.kind ~= "remote" or is_web_server(err) then
        return
    end
    for i = 1, work.settings.fault_retries do
        work.job:sleep(string.format("%s: fault %d", name, i), work.settings.fault_wait_ms)
    end
end

local function refuse(work, what, err)
    local words = err.message
    staged.came_back(work.key)
    unwanted.came_back(work)
    support.remember(work, {is_begun = false})
    if is_web_server(err) then
        support.check(work, "Khaos", nil, err)
    end
    support.hold(work, {{
        cause = "refused_by_khaos",
        subject = work.posting.reference,
        message = string.format("Khaos refused %s: %s", what, words),
        remedy = "Correct what Khaos names, in Khaos or in the mapping, then close this: the order "
            .. "is mapped and posted again.",
        recheck = "manual",
    }})
end

-- Runs an effect; nil when an overtaking cancellation stopped it. What was begun is brought to its
-- end by this job, whoever tells of the order meanwhile (flows.order_stages.fetch).
local function effect(work, what, spec)
    support.remember(work, {is_begun = true})
    local result, err = work.job:effect(spec)
    if result then
        return result
    elseif err.kind == "cancelled" and work.job:overtaken(spec.unless_event) then
        return nil
    elseif err.retryable or err.kind == "cancelled" then
        error(err, 0)
    end
    retry_fault(work, spec.name, err)
    refuse(work, what, err)
end

local function ensure_customer(work)
    local customer = work.posting.customer
    if work.customer then
        return work.customer.company_code
    end
    local made = effect(work, "customer " .. customer.other_ref, {
        connection = work.khaos.connection,
        name = "import_company",
        key = customer.other_ref,
        class = "lookup",
        unless_event = "cancellation",
        request = function()
            return customers.import_request(work.khaos, customer, work.settings.customer_import)
        end,
        read = customers.read_import,
        lookup = function(other_ref)
            return customers.lookup(work.khaos, other_ref)
        end,
    })
    return made and made.company_code
end

local function import(work)
    local posting = work.posting
    return effect(work, "order " .. posting.reference, {
        connection = work.khaos.connection,
        name = "import_order",
        key = posting.reference,
        class = "lookup",
        fingerprint = khaos_orders.fingerprint(posting.predicted.gross_minor, posting.currency),
        unless_event = "cancellation",
        request = function()
            unwanted.leave(work)
            staged.going(work.key)
            return khaos_orders.import_request(work.khaos, posting)
        end,
        read = khaos_orders.read_import,
        lookup = function(reference)
            return khaos_orders.lookup(work.khaos, reference)
        end,
    })
end

--- Posts work.posting; nil when a cancellation came first.
---@async
---@param work table
---@return {order_code: string, urn: string|nil, message: string|nil}|nil
function line_soap.post(work)
    local company_code = ensure_customer(work)
    if not company_code then
        return nil
    end
    work.posting.customer.company_code = company_code
    return import(work)
end

--- After the order was noted: nothing more.
function line_soap.noted() end

return line_soap
