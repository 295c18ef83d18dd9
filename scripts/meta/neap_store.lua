---@meta neap.store
error("this file describes neap.store to editors; require(\"neap.store\") gives the module itself")

--- Durable tables of this client. Keys are strings (at most 400 bytes; longer ones are refused), values
--- anything neap.json can encode. Writes belong to the slice: kept when it ends well, dropped when it
--- raises. A read sees the slice's own writes.
---
--- Personal data belongs into tables whose name begins with "personal_", under the key of the jobs it is
--- about, alone or with "\n" and more behind it: `neap erase` removes it there, and nowhere else.
---@class neap.store
local store = {}

---@param table_name string lower case letters, digits and "_"
---@param key string
---@return any value nil when absent
--- Example: `local item = store.get("stock", "TS-RED-L")`
function store.get(table_name, key) end

---@param table_name string
---@param key string
---@param value any not nil
--- Example: `store.put("stock", "TS-RED-L", {vat = "20"})`
function store.put(table_name, key, value) end

--- Writes many at once, sorted first: the way to fill a mirror.
---@param table_name string
---@param values table<string, any>
---@return integer count
--- Example: `store.put_many("stock", {["A"] = true, ["B"] = true})`
function store.put_many(table_name, values) end

---@param table_name string
---@param key string
---@return boolean existed
--- Example: `store.delete("stock", "TS-RED-L")`
function store.delete(table_name, key) end

--- A list of {key, value}, in key order, at most `limit` (default 100, maximum 10,000).
---@param table_name string
---@param options {prefix: string|nil, from: string|nil, after: string|nil, limit: integer|nil, reverse: boolean|nil}|nil
---@return {key: string, value: any}[]
--- Example: `for _, e in ipairs(store.range("stock", {prefix = "TS-"})) do ... end`
function store.range(table_name, options) end

--- Adds to a durable integer (absent counts as 0) and returns the new value.
---@param table_name string
---@param key string
---@param delta integer|nil default 1
---@return integer
--- Example: `local number = store.increment("sequences", "sales_order")`
function store.increment(table_name, key, delta) end

--- Runs fn without preemption and as one unit: its writes are kept together or, when it raises, dropped
--- together (and the error raised again). fn must not wait; it has a budget of its own.
---@param fn fun(): ...
---@return ... what fn returns
--- Example: `store.atomic(function() store.put("t", "a", 1) store.put("t", "b", 2) end)`
function store.atomic(fn) end

--- Very many rows brought into key order outside of memory, to replace a table by them.
---@class neap.store.Sorter
---@field add fun(self: neap.store.Sorter, key: string, value: any) of rows with one key the last counts
---@field replace fun(self: neap.store.Sorter, table_name: string, limit: integer): neap.store.Step looks at the
---   next rows, at most limit (most 10,000): those that are missing or differ are written, and keys
---   that no row names are removed. Nothing else may write to the table until is_over
---@field close fun(self: neap.store.Sorter)

---@class neap.store.Step
---@field changed string[] keys written
---@field gone string[] keys removed
---@field is_over boolean

---@return neap.store.Sorter
--- Example: `local rows = store.sorter() rows:add("A", {vat = "20"}) rows:replace("stock", 1000)`
function store.sorter() end

return store
