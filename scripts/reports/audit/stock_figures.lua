--- The audit's stock figures: of a sample spread over the whole catalogue, what Khaos has to sell
--- by the client's own policy, and what SCAYLE shows. Codes without a variant show here too.
local asking = require("reports.audit.asking")
local figure = require("flows.stock_stages.figure")
local khaos_codes = require("flows.khaos_codes")
local khaos_line = require("flows.khaos_line")
local levels = require("connectors.khaos_soap.levels")
local report = require("neap.report")
local scayle_client = require("connectors.scayle.client")
local stock_codes = require("reports.audit.stock_codes")
local stocks = require("connectors.scayle.stocks")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")
local time = require("neap.time")

local stock_figures = {}

local CHUNK = 60
local NOTHING = {quantity = 0}

-- Every k-th code, so that the sample is the same for the same list.
local function sample(limit)
    local total = stock_codes.each(function() end)
    local chosen, at = {}, 0
    stock_codes.each(function(code)
        at = at + 1
        if at * limit // total > (at - 1) * limit // total or total <= limit then
            chosen[#chosen + 1] = code
        end
    end)
    return chosen, total
end

local function parent_of(code)
    local entry = khaos_codes.get(code)
    return entry and entry.parent_code
end

local function read_khaos(run, settings, codes)
    local khaos = khaos_line.new(settings.khaos)
    local details, err = asking.again(run, function()
        return levels.details(khaos, codes, settings, parent_of)
    end)
    if not details then
        return nil, err
    end
    local items = {}
    for _, code in ipairs(codes) do
        items[code] = details[code] or {is_hidden = true}
        items[code].code, items[code].sites = code, {}
    end
    for _, site_id in ipairs(settings.sites) do
        local ok, problem = asking.again(run, function()
            return levels.read(khaos, codes, site_id, function(found, asked, began_ms)
                for _, code in ipairs(asked) do
                    local level = found[code] or {}
                    level.read_ms = began_ms
                    items[code].sites[tostring(site_id)] = level
                end
            end)
        end)
        if not ok then
            return nil, problem
        end
    end
    return items
end

-- Sums the sites as the stock flow does.
local function wanted_of(settings, item)
    if next(item.sites) == nil then
        item.is_hidden = true -- a code that cannot be asked for
        return figure.of(item, NOTHING, figure.policy({}, item), time.now_ms())
    end
    tables.keep(item.code, item, time.now_ms())
    local kept = store.get(tables.ITEMS, item.code)
    return figure.of(kept, NOTHING, figure.policy(settings.policy, kept),
        time.now_ms())
end

local function read_shown(run, settings, code)
    local scayle = scayle_client.new(settings.scayle)
    return asking.again(run, function()
        local found, err = stocks.get(scayle, code, settings.warehouse)
        if found then
            return found
        elseif err and err.kind == "not_found" then
            return "no variant"
        end
        return err == nil and "no figure" or nil, err
    end)
end

local function add(run, cause, message, remedy, object)
    run.findings:add({cause = cause, subject = object.subject, kind = "code", message = message,
        remedy = remedy}, {name = object.code, note = object.note})
end

local function compare(run, settings, code, item, shown)
    local wanted = wanted_of(settings, item)
    if shown == "no variant" then
        if not item.is_hidden and not run.has_catalogue then -- which tells all of them
            add(run, "no_variant", "Stock codes that Khaos sells on the web and SCAYLE has no "
                .. "variant for", "Create the variant in SCAYLE with this very reference key, or "
                .. "take the code off the web in Khaos.", {code = code, subject = "Khaos"})
        end
    elseif shown == "no figure" then
        if not item.is_hidden then
            add(run, "no_stock_figure", "Variants without a stock figure in the warehouse that the "
                .. "integration writes to", "Check the warehouse's reference key; the first full "
                .. "reading sets the figure.", {code = code, subject = settings.warehouse})
        end
    elseif shown.quantity ~= wanted.sellable then
        local is_more = shown.quantity > wanted.sellable
        add(run, "stock_drift", is_more and "SCAYLE shows more than Khaos has to sell: it would "
            .. "oversell" or "SCAYLE shows less than Khaos has to sell", "The first full reading "
            .. "corrects it; find out who writes stock today, and end that before the start.",
            {code = code, subject = is_more and "too many" or "too few", note = string.format(
                "SCAYLE shows %d, Khaos has %s", shown.quantity, wanted.text)})
    end
end

local function look_at(run, part, settings, codes)
    local items, err = read_khaos(run, settings, codes)
    if not items then
        return asking.why("Khaos", err)
    end
    for _, code in ipairs(codes) do
        local shown, problem = read_shown(run, settings, code)
        if not shown then
            return asking.why("SCAYLE", problem)
        end
        part.looked = part.looked + 1
        compare(run, settings, code, items[code], shown)
    end
    report.progress(string.format("stock figures compared: %d of %d", part.looked, part.of))
    return nil
end

--- Compares.
---@async
---@param run table
function stock_figures.run(run)
    local part = {name = "Stock figures compared", looked = 0, of = 0}
    run.parts[#run.parts + 1] = part
    local flow = run.flows.stock
    if run.is_cloud or not run.has_codes or not flow then
        part.stopped = not flow and "the client has no stock flow"
            or run.is_cloud and "Khaos Control Cloud has not told its levels yet"
            or "Khaos's stock codes could not be read"
        return
    end
    local codes, total = sample(run.options.codes)
    part.of, part.in_all = #codes, total
    for first = 1, #codes, CHUNK do
        local chunk = table.move(codes, first, math.min(first + CHUNK - 1, #codes), 1, {})
        part.stopped = look_at(run, part, flow.settings, chunk)
        if part.stopped then
            return
        end
    end
end

return stock_figures
