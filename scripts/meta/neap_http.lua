---@meta neap.http
error("this file describes neap.http to editors; require(\"neap.http\") gives the module itself")

--- HTTP to declared connections. Requests leave only after everything written so far is durable.
---@class neap.http
local http = {}

---@class neap.http.Request
---@field connection string name in the manifest's `connections`
---@field method string|nil default "GET"
---@field path string below the connection's base URL, beginning with "/"; reserved characters encoded
---@field query table<string, string|integer>|nil appended, sorted by name, encoded
---@field headers table<string, string>|nil
---@field body string|nil
---@field timeout_ms integer|nil at most the connection's own
---@field file_max_bytes integer|nil the answer's body goes to a file of at most that size instead of memory: for
---   long lists. Not in effects

---@class neap.http.Answer
---@field status integer
---@field headers table<string, string> names in lower case; repeated ones joined by ", "
---@field body string|nil nil when there is a file
---@field file neap.http.File|nil
---@field elapsed_ms integer

--- Gone with the last reference to it.
---@class neap.http.File
---@field size fun(self: neap.http.File): integer
---@field read fun(self: neap.http.File, offset: integer, size: integer): string|nil, neap.Error|nil at most 1 MiB
---@field close fun(self: neap.http.File)

--- Sends one request and waits. Any HTTP answer is an answer, whatever its status.
--- Errors: network, timeout, limit, cancelled (err.maybe_sent tells whether it may have arrived).
---@async
---@param request neap.http.Request
---@return neap.http.Answer|nil
---@return neap.Error|nil
--- Example: `local answer, err = http.request{connection = "khaos", path = "/"}`
function http.request(request) end

--- Sends many and waits for all; result i belongs to request i. Bodies of requests and answers count
--- as memory of the client's scripts until it returns: an answer that finds no room is an error
--- "limit" with maybe_sent.
---@async
---@param requests neap.http.Request[]
---@param options {limit: integer|nil}|nil how many run at once, default 4
---@return {answer: neap.http.Answer|nil, error: neap.Error|nil}[]
--- Example: `for _, r in ipairs(http.all(requests, {limit = 8})) do ... end`
function http.all(requests, options) end

--- Percent-encodes everything but unreserved characters (RFC 3986 2.3).
---@param text string
---@return string
--- Example: `http.url_encode("key=A/B") == "key%3DA%2FB"`
function http.url_encode(text) end

--- "a=1&b=x%20y", names sorted.
---@param query table<string, string|integer|boolean>
---@return string
--- Example: `http.encode_query{limit = 100} == "limit=100"`
function http.encode_query(query) end

--- Parses a query string or form body; of repeated names the last one counts.
---@param text string
---@return table<string, string>
--- Example: `http.decode_query("a=1&b=2").a == "1"`
function http.decode_query(text) end

return http
