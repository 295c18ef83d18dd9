--- Khaos Control Cloud's side of a client: the addresses that Khaos calls (contract part B). Orders
--- that the orders flow offers are fetched here, and what Khaos pushes is kept here for the flows
--- that use it. Every route wants the account of the manifest's `auth.khaos`; 200 means durable.
local downloads = require("flows.cloud_stages.downloads")
local json = require("neap.json")
local khaos_line = require("flows.khaos_line")
local not_fetched = require("flows.returns_stages.not_fetched")
local offered = require("flows.returns_stages.offered")
local pushes = require("flows.cloud_stages.pushes")
local presence = require("flows.cloud_stages.presence")
local queue = require("flows.cloud_stages.queue")
local silence = require("flows.cloud_stages.silence")
local time = require("neap.time")

local BEAT_MS = 15000 -- a few in the minute after which presence.lua sees an absence
local MINUTE_MS = 60000
local DAY_MS = 24 * 60 * MINUTE_MS

local function list_of(values, default)
    return {type = "list", items = {type = "string", enum = values}, default = default, min = 1}
end

local ADDRESS = {"Address1", "Address2", "Address3", "Town", "Postcode"}
local CONTACT = {"Surname", "Forename", "Telephone", "Email"}
local COMPANY = {"CompanyCode", "UseDeliveryAddress", "Address1", "Address2", "Address3", "Town",
    "Postcode", "Surname", "Forename", "Telephone", "Email"}
local ITEMS = {type = "string", enum = {"Abort", "ImportAndHold"}, default = "ImportAndHold"}

local fields = {
    khaos = khaos_line.schema(),
    public_url = {type = "string", required = true, pattern = "^https?://[^%s]*[^/%s]$",
        hint = "\"https://bridge.example/fellside\"",
        help = "where Khaos reaches this client's routes"},
    format = {type = "string", enum = {"JSON", "XML"}, default = "JSON"},
    frequency_minutes = {type = "integer", min = 1, max = 1440, default = 15},
    page_size = {type = "integer", min = 1, max = 1000, default = 500},
    orders_flow = {type = "string", default = "orders"},
    match_company_on = list_of(COMPANY, {"CompanyCode"}),
    match_address_on = list_of(ADDRESS, {"Address1", "Postcode"}),
    match_contact_on = list_of(CONTACT, {"Surname"}),
    discontinued_items = ITEMS,
    run_to_zero_items = ITEMS,
    import_as_unconfirmed = {type = "boolean", default = false},
    poll_silence_ms = {type = "integer", min = 0,
        help = "Khaos has not asked for orders for so long: somebody is told; 0: nobody. Without "
            .. "it, four times frequency_minutes"},
    stock_silence_ms = {type = "integer", min = 0, default = DAY_MS,
        help = "the same of pushed levels. Khaos pushes what moved, so longer than a weekend's "
            .. "rest where nothing moves then"},
    keep_documents_days = {type = "integer", min = 1, default = 100,
        help = "documents of orders that Khaos has shown; it imports none older than three months"},
}

local function route(method, name, path, handle)
    return {kind = "route", name = name, method = method, path = "/khaos/" .. path, auth = "khaos",
        max_body_bytes = pushes.MAX_HEARD_BYTES, handle = handle}
end

local function tidy(job)
    local before_ms = time.now_ms() - job.settings.keep_documents_days * DAY_MS
    local gone = queue.tidy("orders", before_ms) + queue.tidy("returns", before_ms)
    if gone > 0 then
        job:note("khaos_cloud", string.format("%d old documents forgotten", gone))
    end
end

-- An erased order had no open job. Of an erased return that a book knows not_fetched.lua tells.
local function tell_erased(job)
    local said = assert(json.decode(job.event.payload))
    local is_return = said.kind == "returns"
    if is_return and offered.waiting(said.reference) then
        return
    end
    job:open_exception({cause = "erased_before_fetch", subject = said.reference,
        recheck = "manual", message = string.format("%s %s was erased before Khaos fetched it, "
            .. "and never goes to Khaos", is_return and "Return" or "Order", said.reference),
        remedy = "Enter it in Khaos by hand if it is still wanted, then close this."})
end

-- What Khaos should have done by now. The flow is there on-premise too, where nobody calls it.
local function watch(job)
    if khaos_line.kind(job.settings.khaos) == "cloud" then
        silence.watch(job)
        pushes.watch(job)
        not_fetched.watch(job, khaos_line.new(job.settings.khaos).silence_ms)
    end
end

local function run(job)
    local name = job.event.name
    if pushes.is_push(job.event) then
        pushes.take(job)
    elseif name == "document.erased" then
        tell_erased(job)
    elseif name == not_fetched.EVENT then
        not_fetched.run(job, assert(json.decode(job.event.payload)))
    elseif name == "dismissed." .. not_fetched.CAUSE then
        not_fetched.dismissed(job)
    elseif name == "schedule.beat" then
        presence.beat(job.settings.khaos.push_age_ms)
    elseif name == "schedule.watch" then
        watch(job)
    elseif name == "schedule.tidy" then
        tidy(job)
    else
        job:note("khaos_cloud", "nothing to do for event " .. name)
    end
end

local function selftest(settings)
    for _, name in ipairs(settings.match_company_on) do
        if name == "CompanyCode" and #settings.match_company_on > 1 then
            error("settings.match_company_on: CompanyCode stands on its own only", 0)
        elseif name == "CompanyCode" and not khaos_line.new(settings.khaos).send_urn
            and khaos_line.kind(settings.khaos) == "cloud" then
            error("settings.match_company_on: orders carry no company code (khaos.send_urn is "
                .. "false), so Khaos could match no customer by CompanyCode: name what it shall "
                .. "match them by, as {\"Surname\", \"Postcode\"}", 0)
        end
    end
end

return {
    name = "khaos_cloud",
    version = 1,
    schema = {type = "record", fields = fields},
    triggers = {
        route("GET", "config_json", "config.json", downloads.config("JSON")),
        route("GET", "config_xml", "config.xml", downloads.config("XML")),
        route("GET", "orders", "orders", downloads.orders),
        route("GET", "returns", "returns", downloads.returns),
        route("POST", "order_status", "order-status", pushes.route("order_status")),
        route("POST", "stock_status", "stock-status", pushes.route("stock_status")),
        route("POST", "stock", "stock", pushes.route("stock")),
        route("POST", "price_lists", "price-lists", pushes.route("price_lists")),
        {kind = "schedule", name = "beat", every_ms = BEAT_MS},
        {kind = "schedule", name = "watch", every_ms = MINUTE_MS},
        {kind = "schedule", name = "tidy", every_ms = DAY_MS},
        {kind = "act"},
    },
    run = run,
    selftest = selftest,
}
