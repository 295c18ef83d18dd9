---@meta neap.errors
error("this file describes neap.errors to editors; require(\"neap.errors\") gives the module itself")

--- Error objects: what the world answered when it said no. Bugs are raised as plain strings instead.
---@class neap.errors
local errors = {}

---@alias neap.ErrorKind "invalid"|"not_found"|"exists"|"timeout"|"cancelled"|"network"|"remote"|"full"|"io"|"corrupt"|"limit"|"script"

--- tostring gives "kind: message" on one line. The metatable is locked.
---@class neap.Error
---@field kind neap.ErrorKind what the caller does next
---@field message string
---@field retryable boolean the same request may succeed later
---@field retry_after_ms integer|nil the delay the other side named
---@field status integer|nil of the HTTP answer behind it
---@field cause neap.Error|string|nil what was wrapped
---@field details any
---@field maybe_sent boolean|nil true when a request may have arrived

---@class neap.errors.Fields
---@field kind neap.ErrorKind
---@field message string
---@field retryable boolean|nil default false
---@field retry_after_ms integer|nil
---@field status integer|nil
---@field cause neap.Error|string|nil
---@field details any
---@field maybe_sent boolean|nil

--- Makes an error object. Raises on an unknown kind or field.
---@param fields neap.errors.Fields
---@return neap.Error
--- Example: `return nil, errors.new{kind = "invalid", message = "no tax code for 7%"}`
function errors.new(fields) end

--- A new error with context before the message; keeps kind, retryable, retry_after_ms, status, details
--- and maybe_sent, and the old error as cause. A raised string becomes an error of kind "script".
---@param err neap.Error|string
---@param format string as for string.format
---@param ... any
---@return neap.Error
--- Example: `return nil, errors.wrap(err, "booking order %s", id)`
function errors.wrap(err, format, ...) end

--- Returns its arguments, or raises `err` when the value is nil (or false) and there is an error.
---@generic T
---@param value T|nil
---@param err neap.Error|nil
---@param ... any
---@return T value
---@return neap.Error|nil err
---@return any ...
--- Example: `local order = errors.check(scayle.order(id))`
function errors.check(value, err, ...) end

--- Whether the value is an error object, and of that kind when one is named.
---@param value any
---@param kind neap.ErrorKind|nil
---@return boolean
--- Example: `if errors.is(err, "not_found") then return nil end`
function errors.is(value, kind) end

return errors
