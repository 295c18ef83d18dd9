---@meta neap.xml
error("this file describes neap.xml to editors; require(\"neap.xml\") gives the module itself")

--- XML documents as plain tables. Document types and entities of their own are refused.
---@class neap.xml
local xml = {}

--- Children are at 1..n. A node may be made by hand; xml.element checks as it makes.
---@class neap.xml.Node
---@field name string without its prefix
---@field prefix string|nil as written; not resolved
---@field attrs table<string, string> names as written ("xsi:type"); parsing leaves out xmlns
---@field text string character data directly inside, as it stands
---@field cdata boolean|nil true writes the text as a CDATA section
---@field [integer] neap.xml.Node

--- Reads a document in UTF-8, UTF-16 or ISO-8859-1; all text in the nodes is UTF-8.
--- Errors: invalid (the message names the line), limit.
---@param text string
---@param options {max_depth: integer|nil, max_bytes: integer|nil, max_nodes: integer|nil}|nil default 32 levels (most 256), 16 MiB, 1,000,000 elements and attributes
---@return neap.xml.Node|nil root
---@return neap.Error|nil
--- Example: `local envelope, err = xml.parse(answer.body)`
function xml.parse(text, options) end

--- A long document read piece by piece. A record is an element with a field of one of the names; its
--- fields are its children that have text and no children of their own. Names are local.
---@class neap.xml.Records
---@field read fun(self: neap.xml.Records, limit: integer): table<string, string>[]|nil, neap.Error|nil the next
---   records, at most limit (most 10,000); an empty list at the end. Errors: invalid, limit, io
---@field close fun(self: neap.xml.Records)

---@param source string|neap.http.File
---@param names string[] 1 to 8
---@return neap.xml.Records
--- Example: `local records = xml.records(answer.file, {"StockCode"})`
function xml.records(source, names) end

--- Writes a node: attributes sorted, text before children, empty elements closed at once. Raises on
--- names that are none and on characters XML cannot hold (see xml.clean). Errors: limit (64 MiB).
---@param node neap.xml.Node
---@param options {declaration: boolean|nil}|nil
---@return string|nil text
---@return neap.Error|nil
--- Example: `local body = xml.encode(envelope, {declaration = true})`
function xml.encode(node, options) end

--- Makes a node. Values may be strings, integers, booleans and decimals; a float raises.
---@param name string with or without prefix
---@param attrs table<string, string|integer|boolean|neap.money.Decimal>|nil
---@param content string|integer|boolean|neap.money.Decimal|neap.xml.Node[]|nil text or children
---@return neap.xml.Node
--- Example: `local line = xml.element("Item", {id = 1}, {xml.element("Qty", nil, 2)})`
function xml.element(name, attrs, content) end

--- The first child of that name.
---@param node neap.xml.Node
---@param name string
---@return neap.xml.Node|nil
--- Example: `local body = xml.child(envelope, "Body")`
function xml.child(node, name) end

--- The children of that name, or all, in document order.
---@param node neap.xml.Node
---@param name string|nil
---@return neap.xml.Node[]
--- Example: `for _, item in ipairs(xml.children(list, "Item")) do ... end`
function xml.children(node, name) end

--- The text at a path of first children; nil when an element is missing or says xsi:nil="true".
---@param node neap.xml.Node
---@param path string names joined by "/"; "" is the node itself
---@return string|nil
--- Example: `local code = xml.value(envelope, "Body/ImportResponse/OrderCode")`
function xml.value(node, path) end

--- Escapes text for element content or an attribute in double quotes. Raises on what XML cannot hold.
---@param text string
---@return string
--- Example: `xml.escape("a < b") == "a &lt; b"`
function xml.escape(text) end

--- Drops what XML 1.0 cannot hold (control characters, malformed UTF-8) and counts the bytes dropped.
---@param text string
---@return string
---@return integer dropped
--- Example: `local note, dropped = xml.clean(order.comment)`
function xml.clean(text) end

return xml
