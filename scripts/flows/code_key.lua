--- Stock codes as keys in an order that puts those side by side which a person takes for the same:
--- "TS-RED-L", "ts-red-l" and "TS RED L". Used by the mirror of Khaos's codes, by that of SCAYLE's
--- variants, and by what compares the two.
---
---     key = fold(code) .. "\1" .. code          -- of a variant: .. "\1" .. its id
---
--- A fold has no control character, so all keys of one fold come before fold .. "\2", and keys are
--- in the order of (fold, code), byte by byte.
local code_key = {}

--- Bytes of a code: its key must be one of the store's (400), with the id of a variant. No Khaos
--- code is as long.
code_key.MAX = 180

local SEPARATOR = "\1"
local AFTER = "\2"

-- What is not seen, in UTF-8: no-break spaces, soft hyphen, zero width, byte order mark, dashes.
local UNSEEN = {"\xC2\xA0", "\xC2\xAD", "\xE2\x80[\x80-\x95]", "\xE2\x80\xAF", "\xE2\x81\xA0",
    "\xE3\x80\x80", "\xEF\xBB\xBF"}
local SPACES = {"\xC2\xA0", "\xE2\x80[\x80-\x8F]", "\xE2\x80\xAF", "\xE2\x81\xA0", "\xE3\x80\x80",
    "\xEF\xBB\xBF"}

local function without(text, patterns)
    if text:find("[\xC2-\xEF]") then
        for _, pattern in ipairs(patterns) do
            text = text:gsub(pattern, "")
        end
    end
    return text
end

-- Upper case of ASCII and of the Latin-1 letters (U+00E0 to U+00FE, without the division sign).
local function upper(text)
    return (text:upper():gsub("\xC3([\xA0-\xB6\xB8-\xBE])", function(byte)
        return "\xC3" .. string.char(byte:byte() - 0x20)
    end))
end

--- Letters and digits in upper case: without spaces, hyphens, dots, slashes and underscores.
---@param code string
---@return string
function code_key.fold(code)
    return (upper(without(code, UNSEEN)):gsub("[%s%c%-_%./]", ""))
end

--- Upper case without spaces: two codes of one system that agree in it are one code typed twice.
---@param code string
---@return string
function code_key.plain(code)
    return (upper(without(code, SPACES)):gsub("[%s%c]", ""))
end

--- Whether a code can be a key at all. XML, and so Khaos, has no control characters.
---@param code any
---@return boolean
function code_key.is_key(code)
    return type(code) == "string" and code ~= "" and #code <= code_key.MAX
        and not code:find("%c")
end

---@param code string
---@param id string|nil of a variant
---@return string
function code_key.of(code, id)
    local key = code_key.fold(code) .. SEPARATOR .. code
    return id and key .. SEPARATOR .. id or key
end

--- What all keys of codes with this fold begin with.
---@param code string
---@return string
function code_key.prefix(code)
    return code_key.fold(code) .. SEPARATOR
end

--- The position after all codes of a fold.
---@param fold string
---@return string
function code_key.after(fold)
    return fold .. AFTER
end

--- The fold and the code of a key without an id.
---@param key string
---@return string fold
---@return string code
function code_key.parts(key)
    local at = key:find(SEPARATOR, 1, true)
    return key:sub(1, at - 1), key:sub(at + 1)
end

-- ---- slips of the fingers --------------------------------------------------------------------

-- Bytes at the end of a fold in which a letter more or less is another size, not a slip.
local TAIL = 3
local LOOK_ALIKE = {O = "0", ["0"] = "O", I = "1", ["1"] = "I", S = "5", ["5"] = "S", B = "8",
    ["8"] = "B", Z = "2", ["2"] = "Z"}

local function is_swap(a, b)
    return #a == 2 and #b == 2 and a == b:reverse() and not a:find("^%d%d$")
end

local function is_extra(a, b, at, length)
    local letter = #a == 1 and b == "" and a or #b == 1 and a == "" and b
    return letter and not letter:find("%d") and at <= length - TAIL
end

--- Whether two folds are one slip apart: two characters swapped (not two digits), one taken for
--- another that looks like it, or a letter too many or too few before the last three. TSREDL and
--- TSREDM, or TSREDXL, are other sizes.
---@param a string
---@param b string
---@return boolean
function code_key.is_slip(a, b)
    if a == b or math.abs(#a - #b) > 1 then
        return false
    end
    local head, tail, shorter = 0, 0, math.min(#a, #b)
    while head < shorter and a:byte(head + 1) == b:byte(head + 1) do
        head = head + 1
    end
    while tail < shorter - head and a:byte(#a - tail) == b:byte(#b - tail) do
        tail = tail + 1
    end
    local left, right = a:sub(head + 1, #a - tail), b:sub(head + 1, #b - tail)
    return LOOK_ALIKE[left] == right or is_swap(left, right)
        or is_extra(left, right, head + 1, math.max(#a, #b)) or false
end

--- Folds one slip away from this one, but for those with a letter more.
---@param fold string
---@return string[]
function code_key.slips(fold)
    local list = {}
    for i = 1, #fold do
        local head, here, after = fold:sub(1, i - 1), fold:sub(i, i), fold:sub(i + 1, i + 1)
        local rest = fold:sub(i + 2)
        local guesses = {head .. after .. here .. rest, head .. after .. rest,
            head .. (LOOK_ALIKE[here] or here) .. after .. rest}
        for _, guess in ipairs(guesses) do
            list[#list + 1] = code_key.is_slip(fold, guess) and guess or nil
        end
    end
    return list
end

return code_key
