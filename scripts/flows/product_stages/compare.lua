--- Two catalogues beside each other: Khaos's stock codes and SCAYLE's variants. Pure: it reads two
--- sorted sources page by page, tells what it finds, and holds no more than one page of each and
--- one group of codes that are spelt alike, however many there are.
---
---     local after
---     repeat
---         after = compare.step({khaos = khaos, scayle = scayle, found = tell, after = after})
---     until not after
---
--- A source is a function(after, limit) that gives its next rows after a position, in the order of
--- code_key.of(code, id), fewer than `limit` only at its end.
---
--- kind                  what
--- no_code               a variant without a reference key
--- missing_in_khaos      a variant whose code Khaos does not list; near: codes that are spelt alike
---                       but have a variant of their own
--- spelling              Khaos lists it, spelt otherwise; near: how, those without a variant
--- missing_in_scayle     a code of Khaos that no variant has, however it is spelt
--- duplicate_in_scayle   several variants have this very code
--- duplicate_in_khaos    codes of Khaos that differ in case and spaces only; near: the others
--- discontinued          a variant whose code Khaos has discontinued
--- not_live              a variant whose product is not live (state)
--- ean_differs           both sides have a number, and not the same
local code_key = require("flows.code_key")

local compare = {}

compare.KINDS = {"no_code", "missing_in_khaos", "spelling", "missing_in_scayle",
    "duplicate_in_scayle", "duplicate_in_khaos", "discontinued", "not_live", "ean_differs"}

local LIMIT = 5000
local PAGE = 500
-- Of one group: beyond it codes are compared all the same, but no more suggested.
local GROUP_MAX = 64
local NEAR_MAX = 5
local IDS_MAX = 10

---@class products.KhaosRow
---@field code string
---@field ean string|nil
---@field is_discontinued boolean|nil

---@class products.ScayleRow
---@field code string "" when it has none, or one that is no key (then `shown` has it)
---@field id string
---@field shown string|nil
---@field ean string|nil
---@field state string|nil of its product
---@field product string|nil

---@class products.Finding
---@field kind string
---@field code string
---@field near string[]|nil
---@field ids string[]|nil variants, at most IDS_MAX
---@field count integer|nil variants
---@field state string|nil
---@field product string|nil
---@field khaos_ean string|nil
---@field scayle_ean string|nil

-- ---- sources ---------------------------------------------------------------------------------

local Reader = {}
Reader.__index = Reader

local function reader(source, after, page)
    return setmetatable({source = source, after = after, page = page, rows = {}, at = 1}, Reader)
end

-- The next row without taking it; nil at the end.
function Reader:peek()
    if self.at > #self.rows and not self.is_over then
        self.rows, self.at = self.source(self.after, self.page), 1
        self.is_over = #self.rows < self.page
        local last = self.rows[#self.rows]
        self.after = last and code_key.of(last.code, last.id) or self.after
    end
    local row = self.rows[self.at]
    if row and not row.fold then
        row.fold = code_key.fold(row.code)
    end
    return row
end

function Reader:take()
    local row = self:peek()
    self.at = self.at + 1
    return row
end

-- ---- one group: all codes of one fold --------------------------------------------------------

-- "012345678905" and "0012345678905" are one number.
local function same_number(a, b)
    return a:gsub("^0+", "") == b:gsub("^0+", "")
end

local function match(found, khaos, scayle)
    local function tell(kind, more)
        more.kind, more.code, more.product = kind, khaos.code, scayle.product
        more.ids = {scayle.id}
        found(more)
    end
    if khaos.is_discontinued then
        tell("discontinued", {})
    end
    if scayle.state and scayle.state ~= "live" then
        tell("not_live", {state = scayle.state})
    end
    local khaos_ean, scayle_ean = khaos.ean or "", scayle.ean or ""
    if khaos_ean ~= "" and scayle_ean ~= "" and not same_number(khaos_ean, scayle_ean) then
        tell("ean_differs", {khaos_ean = khaos_ean, scayle_ean = scayle_ean})
    end
end

-- All variants of the next code: the first, how many, their ids.
local function take_variants(scayle)
    local first = scayle:take()
    local ids, count = {first.id}, 1
    local row = scayle:peek()
    while row and row.code == first.code do
        count = count + 1
        ids[#ids + 1] = count <= IDS_MAX and row.id or nil
        scayle:take()
        row = scayle:peek()
    end
    return first, ids, count
end

local function keep(list, row)
    if #list < GROUP_MAX then
        list[#list + 1] = row
        return true
    end
    return false
end

local function codes_of(rows)
    local list = {}
    for i = 1, math.min(#rows, NEAR_MAX) do
        list[i] = rows[i].code
    end
    return list
end

local function tell_missing(found, variant, near)
    found({kind = "missing_in_khaos", code = variant.row.code, ids = variant.ids,
        count = variant.count, product = variant.row.product, state = variant.row.state,
        near = near})
end

local function take_khaos(found, group, row, is_matched)
    local list = is_matched and group.matched or group.only_khaos
    local is_kept = keep(group.khaos, row) and keep(list, row)
    if not is_kept and not is_matched then
        found({kind = "missing_in_scayle", code = row.code})
    end
end

local function take_scayle(k, khaos, scayle, work)
    local row, ids, count = take_variants(scayle)
    work.counts.scayle = work.counts.scayle + count
    if count > 1 then
        work.found({kind = "duplicate_in_scayle", code = row.code, ids = ids, count = count})
    end
    local variant = {row = row, ids = ids, count = count}
    if k and k.code == row.code then
        work.counts.matched = work.counts.matched + 1
        work.counts.khaos = work.counts.khaos + 1
        match(work.found, khaos:take(), row)
        take_khaos(work.found, work.group, k, true)
    elseif not keep(work.group.only_scayle, variant) then
        tell_missing(work.found, variant)
    end
end

-- Walks both sides of a group in step.
local function walk(khaos, scayle, fold, work)
    while true do
        local k, s = khaos:peek(), scayle:peek()
        k, s = k and k.fold == fold and k, s and s.fold == fold and s
        if not k and not s then
            return
        elseif k and (not s or k.code < s.code) then
            work.counts.khaos = work.counts.khaos + 1
            take_khaos(work.found, work.group, khaos:take(), false)
        else
            take_scayle(k, khaos, scayle, work)
        end
    end
end

local function tell_twins(found, rows)
    local by_plain = {}
    for _, row in ipairs(rows) do
        local plain = code_key.plain(row.code)
        by_plain[plain] = by_plain[plain] or {}
        table.insert(by_plain[plain], row)
    end
    for _, row in ipairs(rows) do
        local twins = by_plain[code_key.plain(row.code)]
        if #twins > 1 and twins[1] == row then
            found({kind = "duplicate_in_khaos", code = row.code,
                near = codes_of({table.unpack(twins, 2)})})
        end
    end
end

local function tell_group(found, group)
    for _, variant in ipairs(group.only_scayle) do
        if #group.only_khaos > 0 then
            found({kind = "spelling", code = variant.row.code, ids = variant.ids,
                count = variant.count, product = variant.row.product, state = variant.row.state,
                near = codes_of(group.only_khaos)})
        else
            tell_missing(found, variant, #group.matched > 0 and codes_of(group.matched) or nil)
        end
    end
    local has_variant = {}
    for _, row in ipairs(group.matched) do
        has_variant[code_key.plain(row.code)] = true
    end
    for _, row in ipairs(#group.only_scayle == 0 and group.only_khaos or {}) do
        if not has_variant[code_key.plain(row.code)] then -- else a twin, told as that
            found({kind = "missing_in_scayle", code = row.code})
        end
    end
    tell_twins(found, group.khaos)
end

-- Variants that have no code a key could be made of stand before all others.
local function take_odd(scayle, found, counts, limit)
    local after
    local row = scayle:peek()
    while row and row.code == "" and (not after or counts.scayle < limit) do
        found({kind = row.shown and "missing_in_khaos" or "no_code", code = row.shown or "",
            ids = {row.id}, count = 1, product = row.product, state = row.state})
        after = code_key.of("", scayle:take().id)
        counts.scayle = counts.scayle + 1
        row = scayle:peek()
    end
    return after, row ~= nil and row.code == ""
end

local function next_fold(khaos, scayle)
    local k, s = khaos:peek(), scayle:peek()
    if k and s then
        return k.fold < s.fold and k.fold or s.fold
    end
    return (k or s or {}).fold
end

local function compare_group(khaos, scayle, fold, found, counts)
    local group = {khaos = {}, matched = {}, only_khaos = {}, only_scayle = {}}
    walk(khaos, scayle, fold, {found = found, group = group, counts = counts})
    tell_group(found, group)
end

--- Compares the next codes: at most about `limit` rows, never less than a whole group. Gives where
--- to go on, nil at the end, and how many rows of each side were looked at and agreed. What is
--- found may be told again when the position was lost: it depends on the two catalogues only.
---@param spec {khaos: fun(after: string|nil, limit: integer): products.KhaosRow[],
---   scayle: fun(after: string|nil, limit: integer): products.ScayleRow[],
---   found: fun(finding: products.Finding), after: string|nil, limit: integer|nil,
---   page: integer|nil}
---@return string|nil after
---@return {khaos: integer, scayle: integer, matched: integer} counts
function compare.step(spec)
    local page, limit = spec.page or PAGE, spec.limit or LIMIT
    local khaos = reader(spec.khaos, spec.after, page)
    local scayle = reader(spec.scayle, spec.after, page)
    local counts = {khaos = 0, scayle = 0, matched = 0}
    local after, is_more = take_odd(scayle, spec.found, counts, limit)
    while not is_more and (not after or counts.khaos + counts.scayle < limit) do
        local fold = next_fold(khaos, scayle)
        if not fold then
            return nil, counts
        end
        compare_group(khaos, scayle, fold, spec.found, counts)
        after = code_key.after(fold)
    end
    return after, counts
end

return compare
