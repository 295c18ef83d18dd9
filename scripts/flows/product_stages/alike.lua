--- Is a Khaos code that is to become a variant perhaps one that is there already, spelt otherwise?
--- What differs in case and blanks only is one code typed twice: no variant before a person has put
--- that right. What differs in separators too may be another item: a person says so.
local code_key = require("flows.code_key")
local codes = require("flows.khaos_codes")
local tables = require("flows.product_stages.tables")

local alike = {}

local WORDS_MAX = 5

-- "Khaos" or "SCAYLE" by code: which system has a code that is spelt like this one.
local function others(code)
    local found, order = {}, {}
    local function add(other, where)
        if not found[other] then
            order[#order + 1] = other
        end
        found[other] = found[other] or where
    end
    local _, variants = tables.variants_like(code)
    for _, variant in ipairs(variants) do
        add(variant.c, "SCAYLE has a variant")
    end
    for _, other in ipairs(codes.near(code)) do
        if codes.has(other) then
            add(other, "Khaos has a stock code")
        end
    end
    return found, order
end

--- Adds what is wrong: twins of the code.
---@param code string of Khaos
---@param problems string[]
function alike.add_problems(code, problems)
    local found, order = others(code)
    for _, other in ipairs(order) do
        if code_key.plain(other) == code_key.plain(code) and #problems < WORDS_MAX then
            problems[#problems + 1] = string.format("%s %q, which differs in case and blanks only: "
                .. "correct or remove one of the two", found[other], other)
        end
    end
end

--- "; Khaos has a stock code \"AB-11\", which is spelt alike"; nil: nothing is.
---@param code string of Khaos
---@return string|nil
function alike.words(code)
    local found, order = others(code)
    local other = order[1]
    return other and string.format("; %s %q, which is spelt alike", found[other], other)
end

return alike
