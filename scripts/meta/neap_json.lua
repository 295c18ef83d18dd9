---@meta neap.json
error("this file describes neap.json to editors; require(\"neap.json\") gives the module itself")

--- Strict reading and canonical writing of JSON: equal documents are equal bytes.
---@class neap.json
---@field null userdata the value of JSON null; compare with ==
local json = {}

--- Reads a text. Numbers with an integral value up to 2^53 become integers; integers beyond that
--- become strings of their digits, so that they are never rounded. Lists carry the mark of json.array,
--- so that an empty one stays a list. Of repeated names in an object the last one counts.
--- Errors: invalid (the message names the byte), limit (depth or size).
---@param text string UTF-8; a byte order mark at the start is skipped
---@param options {max_depth: integer|nil, max_bytes: integer|nil, without_nulls: boolean|nil}|nil default (and most) 64 levels, 64 MiB; without_nulls leaves out members and elements that are null
---@return any|nil value
---@return neap.Error|nil
--- Example: `local order, err = json.decode(answer.body)`
function json.decode(text, options) end

--- Writes a value: names sorted by bytes, integers exact, floats as short as they come back the same,
--- decimals of neap.money as numbers with their digits. A table with keys 1..n or the mark of
--- json.array is a list, any other an object; {} is an object. Raises, naming the place, on mixed
--- keys, holes, NaN, invalid UTF-8, functions, or more than 64 levels. Errors: limit (max_bytes).
---@param value any
---@param options {pretty: boolean|nil, max_bytes: integer|nil}|nil
---@return string|nil text
---@return neap.Error|nil
--- Example: `local body = json.encode{items = json.array{}, id = "5001"}`
function json.encode(value, options) end

--- Marks a table (a new one without argument) as a list and returns it. Raises when the table has
--- another metatable.
---@generic T
---@param list T[]|nil
---@return T[]
--- Example: `local none = json.array()`
function json.array(list) end

--- Whether a value carries the mark of a list.
---@param value any
---@return boolean
--- Example: `assert(json.is_array(json.decode("[]")))`
function json.is_array(value) end

return json
