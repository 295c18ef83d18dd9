-- Khaos's side of a stock race: levels per site, kits, orders that are imported, and orders that
-- are deleted and imported anew without some units.
local khaos_stock = require("connectors.khaos_soap.stock")
local levels = require("connectors.khaos_soap.levels")
local store = require("neap.store")

local PLAIN = {A = {A = 1}, B = {B = 1}}
-- What each code is made of; a code that is made of itself has levels.
local KITS = {C = {C = 1}, D = {D = 1}, KITA = {C = 1}, KITB = {C = 2, D = 1}}

local Erp = {}
Erp.__index = Erp

local stock_erp = {}

local function sorted(set)
    local list = {}
    for name in pairs(set) do
        list[#list + 1] = name
    end
    table.sort(list)
    return list
end

-- `clock` tells the time; it is not a second off.
function stock_erp.new(random, clock)
    local made_of = random:chance(50) and PLAIN or KITS
    local self = setmetatable({random = random, clock = clock, made_of = made_of,
        codes = sorted(made_of), parts = {}, sites = random:chance(30) and {1, 2} or {1},
        levels = {}, moved_ms = {}, received = {}, held = {}}, Erp)
    for _, code in ipairs(self.codes) do
        if made_of[code][code] then
            self.parts[#self.parts + 1] = code
            self.levels[code], self.received[code] = {}, 0
            for _, site in ipairs(self.sites) do
                self.levels[code][site] = 0
            end
            for _ = 1, random:up_to(3) do
                self:receive(code)
            end
        end
    end
    return self
end

function Erp:is_kit(code)
    return self.made_of[code][code] == nil
end

-- Of units of codes, how many of each part.
function Erp:explode(units)
    local parts = {}
    for code, quantity in pairs(units) do
        for part, each in pairs(self.made_of[code]) do
            parts[part] = (parts[part] or 0) + each * quantity
        end
    end
    return parts
end

function Erp:change(part, site, by)
    self.levels[part][site] = self.levels[part][site] + by
    self.moved_ms[part] = self.clock()
end

function Erp:receive(part)
    self:change(part, self.random:pick(self.sites), 1)
    self.received[part] = self.received[part] + 1
end

-- Sold outside the shop, where there is one.
function Erp:sell(part)
    local site = self.random:pick(self.sites)
    if self.levels[part][site] > 0 then
        self:change(part, site, -1)
    end
end

-- Each unit from the site that has most.
function Erp:import(id, units)
    self.held[id] = {}
    for part, quantity in pairs(self:explode(units)) do
        for _ = 1, quantity do
            local from = self.sites[1]
            for _, site in ipairs(self.sites) do
                from = self.levels[part][site] > self.levels[part][from] and site or from
            end
            self:change(part, from, -1)
            table.insert(self.held[id], {part, from})
        end
    end
end

function Erp:delete(id)
    for _, unit in ipairs(self.held[id]) do
        self:change(unit[1], unit[2], 1)
    end
    self.held[id] = nil
end

function Erp:sum(part)
    local sum = 0
    for _, site in ipairs(self.sites) do
        sum = sum + self.levels[part][site]
    end
    return sum
end

function Erp:potential(code, site)
    local least
    for part, each in pairs(self.made_of[code]) do
        local can = math.max(self.levels[part][site], 0) // each
        least = math.min(least or can, can)
    end
    return least
end

-- What there is of a code over all sites. What one site owes is missing at the others.
function Erp:available(code)
    if not self:is_kit(code) then
        return self:sum(code)
    end
    local sum = 0
    for _, site in ipairs(self.sites) do
        sum = sum + self:potential(code, site)
    end
    for part, each in pairs(self.made_of[code]) do
        sum = math.min(sum, math.max(self:sum(part), 0) // each)
    end
    return sum
end

function Erp:level(code, site)
    if self:is_kit(code) then
        return {available = 0, potential = self:potential(code, site)}
    end
    return {available = self.levels[code][site]}
end

-- ---- what the flow asks ----------------------------------------------------------------------

-- Kits never move; anything may have been edited, but not `is_at_rest`.
function Erp:changed_since(date_type)
    local since_ms, list = (store.get("stock_state", "poll") or {}).since_ms or 0, {}
    for _, code in ipairs(self.codes) do
        local is_moved = self.moved_ms[code] and self.moved_ms[code] >= since_ms
        if date_type == khaos_stock.MOVED and is_moved
            or date_type == khaos_stock.REVISED and not self.is_at_rest
            and self.random:chance(10) then
            list[#list + 1] = {code = code}
        end
    end
    return list
end

-- The whole list, in one page.
function Erp:list()
    local page = {}
    for i, code in ipairs(self.codes) do
        page[i] = {code = code}
    end
    local pages = {page, {}}
    return {page = function()
        return table.remove(pages, 1)
    end}
end

function Erp:details()
    local found = {}
    for _, code in ipairs(self.codes) do
        found[code] = {components = self:is_kit(code) and self.made_of[code] or nil}
    end
    return found
end

function Erp:read(codes, site, each, meanwhile)
    local began_ms, found = self.clock(), {}
    meanwhile()
    for _, code in ipairs(codes) do
        found[code] = self:level(code, site)
    end
    meanwhile()
    each(found, codes, began_ms)
    return true
end

-- Puts it in the place of the connectors; returns what takes it back.
function Erp:serve(meanwhile)
    local kept = {read = levels.read, details = levels.details,
        changed = khaos_stock.changed_since, list = khaos_stock.list_since}
    levels.read = function(_, codes, site, each)
        return self:read(codes, site, each, meanwhile)
    end
    levels.details = function()
        return self:details()
    end
    khaos_stock.changed_since = function(_, date_type)
        local list = self:changed_since(date_type)
        meanwhile()
        return list
    end
    khaos_stock.list_since = function()
        meanwhile()
        return self:list()
    end
    return function()
        levels.read, levels.details = kept.read, kept.details
        khaos_stock.changed_since, khaos_stock.list_since = kept.changed, kept.list
    end
end

return stock_erp
