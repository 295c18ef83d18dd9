--- What the driver sees and does: the control routes of both sandboxes, and the desk of the client.
local errors = require("neap.errors")
local http = require("neap.http")
local json = require("neap.json")

local outside = {}

local function call(connection, method, path, body)
    local answer = errors.check(http.request({
        connection = connection,
        method = method,
        path = path,
        body = body and json.encode(body),
        headers = body and {["Content-Type"] = "application/json"},
    }))
    local value = json.decode(answer.body)
    return value, answer.status
end

local function must(connection, method, path, body)
    local value, status = call(connection, method, path, body)
    if status >= 300 then
        error(errors.new({kind = "remote", message = ("%s %s answered %d: %s"):format(connection,
            path, status, json.encode(value or {}))}))
    end
    return value
end

--- Something in the shop.
---@async
---@param name string
---@param body table
---@return table
function outside.shop(name, body)
    return must("shop", "POST", "/" .. name, body)
end

--- Something in Khaos.
---@async
---@param name string
---@param body table
---@return table
function outside.khaos(name, body)
    return must("khaos", "POST", "/" .. name, body)
end

--- The kinds of orders that post.
---@async
---@return string[]
function outside.good_kinds()
    return must("shop", "GET", "/kinds").good
end

--- One order of Khaos, by the shop's number.
---@async
---@param order_id integer
---@param action string
---@param words table|nil
function outside.in_khaos(order_id, action, words)
    words = words or {}
    words.reference, words.action = "SC" .. order_id, action
    outside.khaos("orders", words)
end

--- At the client's desk; see core/cli/simulation_desk.c.
---@async
---@param name string
---@param body table
function outside.desk(name, body)
    must("desk", "POST", "/" .. name, body)
end

--- A verb of the client's host.
---@async
---@param words string[]
---@param reason string|nil
---@return table|nil answer nil: the host is away, or does not know the thing
function outside.verb(words, reason)
    local value, status = call("desk", "POST", "/neap", {words = words, reason = reason})
    return status == 200 and value or nil
end

---@async
---@param text string
function outside.say(text)
    outside.desk("say", {text = text})
end

--- Orders of the shop after one.
---@async
---@param after integer
---@return table[]
function outside.shop_orders(after)
    local list = {}
    repeat
        local page = must("shop", "GET", "/books?after=" .. after)
        table.move(page.orders, 1, #page.orders, #list + 1, list)
        after = page.next
    until not after
    return list
end

---@async
---@param order_id integer
---@return table|nil
function outside.shop_order(order_id)
    local order = must("shop", "GET", ("/books?limit=1&after=%d"):format(order_id - 1)).orders[1]
    return order and order.id == order_id and order or nil
end

---@async
---@param sku string
---@return integer
function outside.visible(sku)
    return must("shop", "GET", "/sellable?sku=" .. http.url_encode(sku)).visible
end

--- Orders or credit notes of Khaos after one, or its stock.
---@async
---@param of "orders"|"credits"|"cloud_credits"|"stock"
---@param after string|nil
---@return table[]
function outside.khaos_pages(of, after)
    local list = {}
    repeat
        local path = "/books?of=" .. of .. (after and "&after=" .. after or "")
        local page = must("khaos", "GET", path)
        table.move(page.entries, 1, #page.entries, #list + 1, list)
        after = page.next
    until not after
    return list
end

return outside
