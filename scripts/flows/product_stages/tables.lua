--- Tables of the products flow, and the two catalogues as sources of the comparison.
local code_key = require("flows.code_key")
local codes = require("flows.khaos_codes")
local store = require("neap.store")

local tables = {
    -- "sweep" -> where the comparison stands, "last" -> what the newest complete one came to,
    -- "wish" -> {wish}: somebody wants one now, "here" -> true: the flow runs
    STATE = "product_state",
    VARIANTS = "product_variants", -- code_key with id -> {c, i, e, s, p, o, g}: SCAYLE's, see row
    FOUND = "product_findings", -- code "\1" kind (without code: "\1" id "\1" kind) -> finding
    PARENTS = "product_parents", -- stock code -> true: variants hang below it, it is none itself
    CREATION = "product_creations", -- stock code -> {state, ...}: see create.lua
}

local SEPARATOR = "\1"

--- The key of a finding; those of one code lie side by side.
---@param finding products.Finding
---@return string
function tables.found_key(finding)
    local code = finding.code
    if not code_key.is_key(code) then
        code = SEPARATOR .. finding.ids[1]
    end
    return code .. SEPARATOR .. finding.kind
end

--- All that is found of one code.
---@param code string
---@return {key: string, value: table}[]
function tables.of_code(code)
    return code_key.is_key(code) and store.range(tables.FOUND, {prefix = code .. SEPARATOR}) or {}
end

--- Writes a variant as it was seen in sweep `number`: short names, because there are many.
---@param rows table<string, table> for store.put_many
---@param variant scayle.Variant
---@param number integer
function tables.add_variant(rows, variant, number)
    local code = variant.code or ""
    local is_key = code_key.is_key(code)
    rows[code_key.of(is_key and code or "", variant.id)] = {c = is_key and code or "",
        i = variant.id, e = variant.ean, s = variant.state, p = variant.product,
        o = not is_key and variant.code or nil, g = number}
end

--- SCAYLE's variants as sweep `number` saw them; what it did not see any more is forgotten.
---@param number integer
---@return fun(after: string|nil, limit: integer): products.ScayleRow[]
function tables.scayle_source(number)
    return function(after, limit)
        local rows = {}
        repeat
            local page = store.range(tables.VARIANTS, {after = after, limit = limit - #rows})
            for _, pair in ipairs(page) do
                local value = pair.value
                after = pair.key
                if value.g == number then
                    rows[#rows + 1] = {code = value.c, id = value.i, ean = value.e,
                        state = value.s, product = value.p, shown = value.o}
                else
                    store.delete(tables.VARIANTS, pair.key)
                end
            end
        until #page == 0 or #rows == limit
        return rows
    end
end

-- Codes below which others hang.
local function note_parents(rows)
    local parents = {}
    for _, row in ipairs(rows) do
        if row.parent and code_key.is_key(row.parent) then
            parents[row.parent] = true
        end
    end
    if next(parents) then
        store.put_many(tables.PARENTS, parents)
    end
end

--- Khaos's stock codes, from their mirror.
---@param ean_field "none"|"other_ref"
---@return fun(after: string|nil, limit: integer): products.KhaosRow[]
function tables.khaos_source(ean_field)
    return function(after, limit)
        local rows = codes.page(after, limit)
        for _, row in ipairs(rows) do
            row.ean = ean_field == "other_ref" and row.other_ref or nil
        end
        note_parents(rows)
        return rows
    end
end

--- Variants of SCAYLE with exactly this code, as the newest sweep saw them, and how many others are
--- only spelt like it.
---@param code string
---@return table[] exact
---@return table[] alike
function tables.variants_like(code)
    local exact, alike = {}, {}
    for _, pair in ipairs(store.range(tables.VARIANTS, {prefix = code_key.prefix(code)})) do
        local list = pair.value.c == code and exact or alike
        list[#list + 1] = pair.value
    end
    return exact, alike
end

return tables
