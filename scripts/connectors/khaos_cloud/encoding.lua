--- Bodies as UTF-8, whatever Khaos writes: nothing says in what it does. Windows programs write
--- Windows-1252 where they do not write UTF-8.
local errors = require("neap.errors")

local encoding = {}

local PIECE = 65536 -- bytes converted in one go

-- Of Windows-1252 beyond ISO 8859-1; five of its bytes are nothing.
local ABOVE_127 = {[0x80] = 0x20AC, [0x82] = 0x201A, [0x83] = 0x0192, [0x84] = 0x201E,
    [0x85] = 0x2026, [0x86] = 0x2020, [0x87] = 0x2021, [0x88] = 0x02C6, [0x89] = 0x2030,
    [0x8A] = 0x0160, [0x8B] = 0x2039, [0x8C] = 0x0152, [0x8E] = 0x017D, [0x91] = 0x2018,
    [0x92] = 0x2019, [0x93] = 0x201C, [0x94] = 0x201D, [0x95] = 0x2022, [0x96] = 0x2013,
    [0x97] = 0x2014, [0x98] = 0x02DC, [0x99] = 0x2122, [0x9A] = 0x0161, [0x9B] = 0x203A,
    [0x9C] = 0x0153, [0x9E] = 0x017E, [0x9F] = 0x0178}

local UTF8_OF = {}
for byte = 128, 255 do
    local point = ABOVE_127[byte] or byte >= 0xA0 and byte
    UTF8_OF[string.char(byte)] = point and utf8.char(point) or nil
end

local SINGLE_BYTE = {["windows-1252"] = true, cp1252 = true, ["iso-8859-1"] = true,
    latin1 = true, ["us-ascii"] = true}

-- Whole characters of UTF-8; of fewer bytes it makes nothing, and Windows-1252 two letters.
local UTF8_CHARACTERS = {"[\xC2-\xDF][\x80-\xBF]", "[\xE0-\xEF][\x80-\xBF][\x80-\xBF]",
    "[\xF0-\xF4][\x80-\xBF][\x80-\xBF][\x80-\xBF]"}

local function has_utf8_characters(body)
    for _, pattern in ipairs(UTF8_CHARACTERS) do
        if body:find(pattern) then
            return true
        end
    end
    return false
end

local function from_single_byte(body)
    if body:find("[\x81\x8D\x8F\x90\x9D]") then
        return nil, errors.new({kind = "invalid", message = "neither UTF-8 nor Windows-1252"})
    end
    local pieces = {}
    for first = 1, #body, PIECE do
        pieces[#pieces + 1] = body:sub(first, first + PIECE - 1):gsub("[\128-\255]", UTF8_OF)
    end
    return table.concat(pieces)
end

--- The body in UTF-8. XML in UTF-16 stays as it is, because the reader knows it; an XML declaration
--- that names another encoding goes.
---@param body string
---@return string|nil
---@return neap.Error|nil kind invalid
function encoding.to_utf8(body)
    if body:find("^\255\254") or body:find("^\254\255") or body:find("^\0?<\0") then
        return body
    end
    local declared = body:match("^[%s\239\187\191]*<%?xml[^>]-encoding%s*=%s*[\"']([%w_-]+)")
    local is_declared = declared and SINGLE_BYTE[declared:lower()]
    local is_utf8 = utf8.len(body) ~= nil
    if not is_utf8 and not is_declared and has_utf8_characters(body) then
        return nil, errors.new({kind = "invalid", message = "partly UTF-8 and partly not"})
    end
    local err
    if is_declared then
        body = body:gsub("^([%s\239\187\191]*)<%?xml.-%?>", "%1", 1)
    end
    if not is_utf8 then
        body, err = from_single_byte(body)
    end
    return body, err
end

return encoding
