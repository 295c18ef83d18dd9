-- SCAYLE's side of a stock race: the sandbox's shop behind a network that loses requests and
-- answers, and its bulk requests, which are worked on whenever time passes, in random order.
local admin_bulk = require("shop.bulk")
local catalogue = require("shop.catalogue")
local http = require("neap.http")
local json = require("neap.json")
local shop_stocks = require("shop.stocks")
local time = require("neap.time")

local LOSS = 8 -- of a hundred requests, and of as many answers

local Shop = {}
Shop.__index = Shop

local stock_shop = {}

-- `clock` tells the time at SCAYLE; `far` is its store.
function stock_shop.new(random, far, skus, clock)
    local settings = {}
    for name, value in pairs(catalogue.SETTINGS) do
        settings[name] = value
    end
    settings.bulk_stuck = random:chance(10)
    settings.bulk_cancel_ignored = random:chance(50)
    settings.bulk_ends = random:chance(20) and random:pick({"failed", "aborted"}) or ""
    settings.bulk_offered = not random:chance(5)
    local shop = setmetatable({random = random, far = far, clock = clock, settings = settings,
        complete = {}, begun = 0, loss = LOSS}, Shop)
    for i, sku in ipairs(skus) do
        shop_stocks.add_variant(shop:world(), sku, 1000 + i)
    end
    return shop
end

function Shop:world()
    return {store = self.far, now_ms = self.clock(), time = time, settings = self.settings}
end

-- Some operations of some requests.
function Shop:work()
    for _, key in ipairs(self.complete) do
        if self.random:chance(40) then
            admin_bulk.work(self:world(), key, self.random:up_to(2))
        end
    end
end

function Shop:date_header()
    local date = time.format_iso(self.clock())
    return {date = "Mon, " .. date:sub(9, 10) .. " May 2026 " .. date:sub(12, 19) .. " GMT"}
end

local function error_body()
    return {errors = json.array({{errorKey = "REFUSED", message = "refused"}})}
end

local function take_chunk(shop, request)
    if not shop.settings.bulk_offered then
        return 404, error_body()
    end
    local made, refusal, is_complete = admin_bulk.take(shop:world(), json.decode(request.body))
    if not made then
        return refusal.status, error_body()
    end
    shop.begun = shop.begun + (is_complete and 1 or 0)
    shop.complete[#shop.complete + 1] = is_complete and made.key or nil
    return 201, {key = made.key}
end

local function about_bulk(shop, key, rest)
    local w = shop:world()
    local found = admin_bulk.get(w, math.tointeger(tonumber(key)))
    local operation = rest:match("^/operations/([^/]+)/status$")
    local view
    if not found then
        return 404, error_body()
    elseif rest == "/cancel" then
        admin_bulk.cancel(w, found)
        return 204, nil
    elseif operation then
        view = admin_bulk.operation(w, found, operation)
    else
        view = admin_bulk.view(found)
    end
    return view and 200 or 404, view or error_body()
end

local function serve(shop, request)
    local sku = request.path:match("^/variants/key%%3D(%w+)/stocks$")
    local key, rest = request.path:match("^/bulk%-requests/(%d+)(/.*)$")
    if request.path == "/variants/stocks/bulk-requests" then
        return take_chunk(shop, request)
    elseif key then
        return about_bulk(shop, key, rest)
    elseif request.method == "POST" then
        return 200, assert(shop_stocks.set(shop:world(), {sku = sku}, json.decode(request.body)))
    end
    return 404, error_body()
end

-- The answer to a request, or the error that it ended with.
function Shop:answer(request)
    if self.random:chance(self.loss) then
        return nil, {retryable = true, kind = "network", message = "lost before"}
    end
    local status, body = serve(self, request)
    if self.random:chance(self.loss) then
        return nil, {retryable = true, kind = "network", message = "lost behind"}
    end
    return {status = status, body = body and json.encode(body) or "",
        headers = self:date_header()}
end

-- Puts it in the place of neap.http; `meanwhile` runs before each request. Returns what takes it
-- back.
function Shop:serve(meanwhile)
    local kept = {all = http.all, request = http.request}
    http.request = function(request)
        meanwhile()
        return self:answer(request)
    end
    http.all = function(requests)
        local results = {}
        for i, request in ipairs(requests) do
            meanwhile()
            local answer, err = self:answer(request)
            results[i] = {answer = answer, error = err}
        end
        return results
    end
    return function()
        http.all, http.request = kept.all, kept.request
    end
end

-- Bulk requests at a small scale; nil: single calls only.
function stock_shop.bulk_settings(random)
    if random:chance(50) then
        return nil
    end
    return {from = random:up_to(2), size = random:up_to(3), chunk = random:up_to(2),
        wait_ms = 60000 * random:up_to(10), check = random:up_to(4)}
end

return stock_shop
