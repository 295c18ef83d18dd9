--- What the order and its customer are called in Khaos.
local read = require("flows.orders.read")

local identity = {}

local REFERENCE_MAX = 15 -- the guide's limit; one template allows 50, but not every system does
local OTHER_REF_MAX = 30

local function fill(template, values)
    return (template:gsub("{([%w_]*)}", function(name)
        local value = values[name]
        if value == nil then
            error(string.format("template %q: unknown placeholder {%s}", template, name), 0)
        end
        return value
    end))
end

local function check(work, name, text, limit)
    if #text > limit then
        work.causes:add("field_too_long", work.order_id .. " " .. name, string.format(
            "%s %s has %d characters, Khaos takes %d", name, text, #text, limit))
    elseif not text:find("^[%w_%-%./]+$") then
        work.causes:add("field_too_long", work.order_id .. " " .. name, string.format(
            "%s %q holds characters that are not safe in Khaos (letters, digits and _-./ are)",
            name, text))
    end
end

local function reference_template(work)
    local settings = work.settings
    if not work.is_shared then
        return settings.reference or "SC{order_id}"
    end
    local template = settings.shared_reference or settings.reference or ""
    if not template:find("{merchant}", 1, true) then
        work.causes:add("unmapped_market", "shared_reference",
            "Other merchants sell on this order too, and settings.shared_reference does not say "
                .. "how our merchant shows in the reference (\"SC{order_id}{merchant}\")")
        return nil
    end
    return template
end

--- Sets work.reference; needs work.is_shared.
---@param work table
function identity.reference(work)
    local template = reference_template(work)
    if not template then
        return
    end
    work.reference = fill(template, {
        order_id = work.order_id,
        public_key = read.text(work.order, "publicKey") or "",
        merchant = work.settings.merchant_code or work.settings.merchant_key,
    })
    check(work, "ASSOCIATED_REF", work.reference, REFERENCE_MAX)
end

--- The customer's own reference, one per currency; nil with a cause when the customer has no id.
---@param work table
---@return string|nil
function identity.other_ref(work)
    local customer = read.table(work.order, "customer")
    local id = read.text(customer, "id")
    if not id then
        work.causes:add("field_too_long", work.order_id .. " OTHER_REF", string.format(
            "Order %s has no customer id to make the customer's reference of", work.order_id))
        return nil
    end
    local text = fill(work.settings.customer_ref or "S{customer_id}-{currency}", {
        customer_id = id,
        public_key = read.text(customer, "publicKey") or id,
        currency = work.currency or "",
    })
    check(work, "OTHER_REF", text, OTHER_REF_MAX)
    return text
end

--- Fills a header template such as "Web order {public_key}"; nil for nil.
---@param work table
---@param template string|nil
---@return string|nil
function identity.header_text(work, template)
    return template and fill(template, {
        order_id = work.order_id,
        public_key = read.text(work.order, "publicKey") or work.order_id,
        reference = work.reference,
        channel = read.text(read.table(work.order, "channel"), "key") or "",
    })
end

return identity
