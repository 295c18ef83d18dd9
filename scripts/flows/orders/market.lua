--- Which Khaos posting profile an order belongs to: by shop country id, never by guess.
local amounts = require("flows.orders.amounts")
local countries = require("lib.countries")
local read = require("flows.orders.read")

local market = {}

--- The shop country id of an order, by which it has its market; as its delegation says it when the
--- order does not.
---@param order table
---@param delegation table|nil
---@return string|nil
function market.id(order, delegation)
    return read.text(read.table(order, "shopCountry"), "id") or read.text(delegation, "shopId")
end

local function country_of(input)
    return read.text(read.table(input.order, "shopCountry"), "countryCode")
        or read.text(input.delegation, "countryCode") or "?"
end

local function check_currency(work, id)
    local expected = work.profile.currency
    if work.currency ~= expected then
        work.causes:add("unmapped_market", id .. "/" .. (work.currency or "?"), string.format(
            "The order is in %s, but the profile of shop country %s posts in %s",
            work.currency or "no currency", id, expected))
        return
    end
    for _, item in ipairs(read.table(work.order, "items")) do
        local currency = read.text(item, "currency")
        if currency and currency ~= expected then
            work.causes:add("unmapped_market", id .. "/" .. currency, string.format(
                "Item %s is in %s on an order in %s", read.text(item, "id") or "?", currency,
                expected))
        end
    end
end

--- The country that the order is posted to must be one of its profile's.
---@param work table
---@param country string|nil
function market.check_delivery_country(work, country)
    local allowed, id = (work.profile or {}).delivery_countries, work.shop_id
    local code = countries.alpha2(country)
    if not allowed or not code then
        return
    end
    for _, one in ipairs(allowed) do
        if one == code then
            return
        end
    end
    work.causes:add("unmapped_market", id .. " to " .. code, string.format(
        "The profile of shop country %s does not deliver to %s; its VAT treatment is not declared",
        id, code))
end

-- Orders of a marketplace may need a sales source of their own.
local function apply_channel(work, id)
    local key = read.text(read.table(work.order, "channel"), "key")
    local channels = work.profile.channels
    work.sales_source = work.profile.sales_source
    if not key or not channels then
        return
    end
    local channel = channels[key]
    if not channel then
        work.causes:add("unmapped_market", id .. " channel " .. key, string.format(
            "Channel %s is not among the channels of shop country %s", key, id))
        return
    end
    work.sales_source = channel.sales_source
    work.trail:say("Channel %s: sales source %s", key, channel.sales_source)
end

--- Sets work.profile, work.tax, work.currency and work.sales_source, or adds the causes.
---@param work table
function market.resolve(work)
    local id = market.id(work.order, work.input.delegation)
    work.currency = read.text(work.order, "currencyCode")
    work.shop_id = id or "?"
    local profile = id and read.table(work.mappings, "companies")[id]
    if type(profile) ~= "table" then
        work.causes:add("unmapped_market", work.shop_id, string.format(
            "Shop country %s (%s) has no posting profile", work.shop_id, country_of(work.input)))
        return
    end
    work.profile = profile
    work.tax = read.table(work.mappings, "tax", profile.tax)
    work.tax_by_rate = {}
    work.trail:say("Market: shop country %s (%s), class %s, %s calculation, %s", id,
        country_of(work.input), profile.company_class, profile.calc, profile.currency)
    check_currency(work, id)
    apply_channel(work, id)
end

--- The Khaos tax entry of a rate; adds the cause when there is none.
---@param work table with profile
---@param rate integer|nil millionths
---@param what string "item" or "fee"
---@param name string of that item or fee
---@return table|nil entry
function market.tax_entry(work, rate, what, name)
    local entry = rate and work.tax_by_rate[rate]
    if entry then
        return entry
    end
    local subject = what .. " " .. name
    if not rate then
        work.causes:add("unmapped_tax", subject, string.format("%s has no readable tax rate",
            subject))
        return nil
    end
    local key = amounts.rate_text(rate)
    entry = work.tax[key]
    work.tax_by_rate[rate] = entry
    if not entry then
        work.causes:add("unmapped_tax", work.profile.tax .. " " .. key, string.format(
            "Tax rate %s (%s) has no Khaos tax code in table %q", amounts.percent_text(rate),
            subject, work.profile.tax))
    end
    return entry
end

return market
