--- Products and variants of the simulated tenant (contract 5): paged, read, created. Variants that
--- have a reference key are known to the stocks too.

local catalogue = require("shop.catalogue")
local control = require("lib.sandbox.control")
local gate = require("shop.gate")
local json = require("neap.json")
local stocks = require("shop.stocks")

local products = {}

local PRODUCTS = "shop_products" -- "%012d" of its id -> {id, referenceKey, state, name}
local VARIANTS = "shop_product_variants" -- "%012d" of product and id -> {id, product_id, ...}
local KEYS = "shop_product_keys" -- reference key -> id
local SKUS = "shop_product_skus" -- reference key of a variant -> row

products.TABLES = {PRODUCTS, VARIANTS, KEYS, SKUS}

local STATES = {live = true, draft = true, problem = true, new = true, inApproval = true,
    blocked = true}
local KEY_MAX = 255
local ALL = 10000

local function row_of(id)
    return ("%012d"):format(id)
end

local function each_variant(w, product_id)
    local list, after = {}, nil
    repeat
        local page = w.store.range(VARIANTS, {after = after, limit = ALL,
            prefix = product_id and row_of(product_id) or nil})
        for _, entry in ipairs(page) do
            list[#list + 1], after = entry.value, entry.key
        end
    until #page < ALL
    return list
end

local function put_product(w, words)
    local id = words.id or w.store.get(KEYS, words.key)
        or 500000 + w.store.increment("shop_sequences", "product")
    local known = w.store.get(PRODUCTS, row_of(id)) or {}
    local product = {id = id, referenceKey = words.key, state = words.state or known.state
        or "live", name = words.name or known.name or words.key}
    w.store.put(PRODUCTS, row_of(id), product)
    w.store.put(KEYS, words.key, id)
    return product
end

local function put_variant(w, product, words)
    local id = words.id or 1700000 + w.store.increment("shop_sequences", "product_variant")
    local row = row_of(product.id) .. row_of(id)
    w.store.put(VARIANTS, row, {id = id, product_id = product.id,
        referenceKey = words.sku, ean = words.ean, merchants = words.merchants,
        is_composite = words.is_composite, prices = words.prices or {},
        is_created = words.is_created})
    if words.sku then
        w.store.put(SKUS, words.sku, row)
        stocks.add_variant(w, words.sku, id)
    end
    return row
end

---@param w table
function products.seed(w)
    for _, variant in ipairs(catalogue.variants()) do
        local product = put_product(w, {id = variant.product_id,
            key = "P-" .. variant.product_id, name = variant.name})
        put_variant(w, product, {id = variant.id, sku = variant.sku})
    end
end

--- A variant of a product of its own, as the lever "variants" has it.
---@param w table
---@param sku string
---@param id integer
function products.add(w, sku, id)
    put_variant(w, put_product(w, {key = "P-" .. sku, name = sku}), {id = id, sku = sku})
end

-- ---- what is shown ---------------------------------------------------------------------------

local function shown_variant(variant)
    return {id = variant.id, referenceKey = variant.referenceKey or json.null,
        ean = variant.ean or json.null,
        merchantReferenceKeys = json.array(variant.merchants
            or {catalogue.MERCHANT.referenceKey}),
        isComposite = variant.is_composite == true, attributes = json.array({}),
        prices = json.array(variant.prices), stocks = json.array({}), customData = json.array({})}
end

local function shown(w, product, with_variants)
    local view = {id = product.id, referenceKey = product.referenceKey,
        name = {en_GB = product.name}, state = product.state, isComposite = false,
        master = {referenceKey = "M-" .. product.referenceKey,
            categories = {paths = json.array({}), isLocked = false}},
        attributes = json.array({}), images = json.array({}), problems = json.array({}),
        merchantReferenceKeys = json.array({catalogue.MERCHANT.referenceKey})}
    if with_variants then
        view.variants = json.array({})
        for _, variant in ipairs(each_variant(w, product.id)) do
            view.variants[#view.variants + 1] = shown_variant(variant)
        end
    end
    return view
end

local function invalid(field, message)
    return gate.error(400, "VALIDATION_ERROR", message, {field = field})
end

local function page_size(w, request)
    local text = request.query.limit
    local limit = text and math.tointeger(tonumber(text)) or not text and w.settings.page_limit
    return limit and limit >= 1 and limit <= w.settings.page_limit_max and limit or nil
end

local function list(w, request)
    local limit, after = page_size(w, request), nil
    if not limit then
        return invalid("limit", "limit is out of range")
    elseif request.query.cursor then
        after = request.query.cursor:match("^p(%d+)$")
        if not after or w.settings.forget_cursors then
            return invalid("cursor", "cursor is not valid")
        end
    end
    local with = "," .. (request.query.with or "") .. ","
    local is_full = not w.settings.variants_need_with or with:find(",variants,", 1, true) ~= nil
    local entities = {}
    local page = w.store.range(PRODUCTS, {after = after, limit = limit})
    for i, entry in ipairs(page) do
        entities[i] = shown(w, entry.value, is_full)
    end
    local last = page[#page]
    local is_last = #page < limit or #w.store.range(PRODUCTS, {after = last.key, limit = 1}) == 0
    return gate.list(entities, not is_last and "p" .. last.key or nil)
end

local function find_product(w, identifier)
    local key = identifier:match("^key=(.+)$")
    local id = key and w.store.get(KEYS, key) or not key and math.tointeger(tonumber(identifier))
    return id and w.store.get(PRODUCTS, row_of(id)) or nil
end

local function with_product(run)
    return function(w, request)
        local product = find_product(w, request.params.product)
        if not product then
            return gate.error(404, "PRODUCT_NOT_FOUND", "No product for the given identifier.")
        end
        return run(w, request, product)
    end
end

-- found: for the log, which judges look-ups.
local function with_found(reply, identifier, is_found)
    local key = identifier:match("^key=(.+)$")
    reply.found = key and {[key] = is_found} or nil
    return reply
end

local function get_variant(w, request, product)
    local identifier = request.params.variant
    for _, variant in ipairs(each_variant(w, product.id)) do
        if identifier == "key=" .. (variant.referenceKey or "")
            or identifier == tostring(variant.id) then
            return with_found(control.reply(200, shown_variant(variant)), identifier, true)
        end
    end
    return with_found(gate.error(404, "VARIANT_NOT_FOUND", "No variant for the given identifier."),
        identifier, false)
end

-- ---- creation --------------------------------------------------------------------------------

local function check_price(price)
    if type(price) ~= "table" or math.type(price.price) ~= "integer" or price.price < 0 then
        return "price"
    elseif type(price.currencyCode) ~= "string" or not price.currencyCode:find("^%u%u%u$") then
        return "currencyCode"
    elseif type(price.countryCode) ~= "string" or not price.countryCode:find("^%u%u$") then
        return "countryCode"
    end
    return type(price.tax) ~= "number" and "tax" or nil
end

local function check_new(body)
    local key = body.referenceKey
    if type(key) ~= "string" or key == "" or #key > KEY_MAX then
        return "referenceKey"
    elseif body.ean ~= nil and (type(body.ean) ~= "string" or not body.ean:find("^%d+$")) then
        return "ean"
    elseif type(body.prices) ~= "table" then
        return "prices"
    end
    for _, price in ipairs(body.prices) do
        local field = check_price(price)
        if field then
            return field
        end
    end
    return nil
end

local function create_variant(w, request, product)
    local body, refusal = gate.body(request)
    if not body then
        return refusal
    end
    local field = check_new(body)
    if field then
        return invalid(field, field .. " is missing or wrong")
    elseif w.store.get(SKUS, body.referenceKey) and w.settings.variant_keys_unique then
        return gate.error(409, "CONFLICT", "A variant with this reference key exists.")
    end
    local row = put_variant(w, product, {sku = body.referenceKey, ean = body.ean,
        merchants = body.merchantReferenceKeys, prices = body.prices, is_created = true})
    return control.reply(201, shown_variant(w.store.get(VARIANTS, row)))
end

local function entry(operation, method, path, scope, run)
    return {operation = operation, method = method, path = path, scope = scope, run = run}
end

products.CALLS = {
    entry("list_products", "GET", "/products", "productRead", list),
    entry("get_product", "GET", "/products/{product}", "productRead",
        with_product(function(w, _, product)
            return control.reply(200, shown(w, product, true))
        end)),
    entry("list_variants", "GET", "/products/{product}/variants", "productRead",
        with_product(function(w, _, product)
            return gate.list(shown(w, product, true).variants)
        end)),
    entry("get_variant", "GET", "/products/{product}/variants/{variant}", "productRead",
        with_product(get_variant)),
    entry("create_variant", "POST", "/products/{product}/variants", "productWrite",
        with_product(create_variant)),
}

-- ---- control ---------------------------------------------------------------------------------

local function remove(w, sku)
    for _, variant in ipairs(each_variant(w)) do
        if variant.referenceKey == sku then
            w.store.delete(VARIANTS, row_of(variant.product_id) .. row_of(variant.id))
        end
    end
    w.store.delete(SKUS, sku)
    w.store.delete("shop_variants", sku)
end

--- POST _control/products: {products = {{key, state, name, variants = {{sku, ean, merchants,
--- is_composite}}}}, remove = {sku}}; variants are added, also such that no API call would make (a
--- second one with a key, one without).
---@param w table
---@param body table
---@return neap.Reply
function products.change(w, body)
    for _, sku in ipairs(body.remove or {}) do
        remove(w, sku)
    end
    for _, words in ipairs(body.products or {}) do
        if type(words.key) ~= "string" or not STATES[words.state or "live"] then
            return control.bad("a product has a key, and one of SCAYLE's states")
        end
        local product = put_product(w, words)
        for _, variant in ipairs(words.variants or {}) do
            put_variant(w, product, variant)
        end
    end
    return control.reply(200, {changed = true})
end

--- GET _control/products: variants that were created by API calls, and how often each key is there.
---@param w table
---@return neap.Reply
function products.view(w)
    local created, copies = json.array({}), {}
    for _, variant in ipairs(each_variant(w)) do
        local key = variant.referenceKey
        if key then
            copies[key] = (copies[key] or 0) + 1
        end
        if variant.is_created then
            local product = w.store.get(PRODUCTS, row_of(variant.product_id))
            created[#created + 1] = {sku = key, product = product.referenceKey,
                ean = variant.ean, prices = json.array(variant.prices), state = product.state}
        end
    end
    return control.reply(200, {created = created, copies = copies})
end

return products
