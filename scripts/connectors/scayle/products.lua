--- Products and variants of the SCAYLE Admin API (contract 5). There is no list of variants:
--- products are paged, and each holds its own.
local client = require("connectors.scayle.client")
local errors = require("neap.errors")

local products = {}

-- Of a product nothing else is kept in memory: descriptions and images are long.
local ONLY = {
    entities = {id = true, referenceKey = true, state = true, variants = {id = true,
        referenceKey = true, ean = true, merchantReferenceKeys = true, isComposite = true}},
    cursor = {next = true},
    errors = true,
}

---@class scayle.Variant
---@field id string SCAYLE's own
---@field code string|nil reference key, as it is: nothing is trimmed
---@field ean string|nil
---@field merchants string[] empty: everybody's
---@field is_composite boolean
---@field product string reference key of its product, "id N" without one
---@field state string|nil of its product

---@class scayle.ProductPage
---@field variants scayle.Variant[]
---@field products integer
---@field without_list integer products that came without a list of variants: `with` is needed
---@field next string|nil cursor

---@class scayle.Rate
---@field limit integer|nil calls in a minute
---@field remaining integer|nil
---@field reset_ms integer|nil

local function filled(value)
    return type(value) == "string" and value ~= "" and value or nil
end

local function name_of(product)
    return filled(product.referenceKey) or "id " .. tostring(product.id)
end

local function variant_of(variant, product)
    local merchants = {}
    local keys = variant.merchantReferenceKeys
    for _, key in ipairs(type(keys) == "table" and keys or {}) do
        merchants[#merchants + 1] = filled(key)
    end
    return {id = tostring(variant.id), code = filled(variant.referenceKey),
        ean = filled(variant.ean), merchants = merchants,
        is_composite = variant.isComposite == true, product = name_of(product),
        state = filled(product.state)}
end

--- What every answer says of the quota of its scope.
---@param answer neap.http.Answer
---@return scayle.Rate
function products.rate(answer)
    local function number(name)
        return math.tointeger(tonumber(answer.headers[name]))
    end
    local reset = number("x-ratelimit-reset")
    return {limit = number("x-ratelimit-limit"), remaining = number("x-ratelimit-remaining"),
        reset_ms = reset and reset * 1000}
end

--- Request for a page of products.
---@param options {cursor: string|nil, limit: integer, with: string|nil}
---@return table request without its connection
function products.list_request(options)
    return client.request({path = "/products", query = {limit = options.limit,
        cursor = options.cursor, with = options.with}})
end

local function read_document(answer)
    if answer.status < 200 or answer.status > 299 then
        return client.read(answer)
    end
    local document, err = client.decode(answer.body, ONLY)
    if not document then
        return nil, errors.new({kind = "remote", retryable = true, status = answer.status,
            message = "SCAYLE's list of products is no JSON: " .. err.message})
    elseif type(document) ~= "table" or type(document.entities) ~= "table" then
        return client.read(answer) -- the rate limit under any status
    end
    return document
end

--- Reads a page: the variants of all its products.
---@param answer neap.http.Answer
---@return scayle.ProductPage|nil
---@return neap.Error|nil
function products.read_page(answer)
    local document, err = read_document(answer)
    if not document then
        return nil, err
    elseif type(document.entities) ~= "table" then
        return nil, errors.new({kind = "remote", status = answer.status, retryable = true,
            message = "SCAYLE's answer is no list of products"})
    end
    local cursor = type(document.cursor) == "table" and document.cursor or {}
    local page = {variants = {}, products = 0, without_list = 0, next = filled(cursor.next)}
    for _, product in ipairs(document.entities) do
        page.products = page.products + 1
        if type(product.variants) ~= "table" then
            page.without_list = page.without_list + 1
        end
        for _, variant in ipairs(type(product.variants) == "table" and product.variants or {}) do
            page.variants[#page.variants + 1] = variant_of(variant, product)
        end
    end
    return page
end

-- ---- one product, one variant ----------------------------------------------------------------

local function product_path(key)
    return "/products/" .. client.identifier({key = key})
end

--- A product by our key: nil without an error when SCAYLE has none.
---@async
---@param scayle scayle.Client
---@param key string
---@return {key: string, state: string|nil}|nil
---@return neap.Error|nil
function products.get(scayle, key)
    local product, err = scayle:call({path = product_path(key)})
    if not product then
        return nil, err.status ~= 404 and err or nil
    end
    return {key = name_of(product), state = filled(product.state)}
end

--- A variant of a product, by stock code: "found" with it, "absent"; nil, err.
---@async
---@param scayle scayle.Client
---@param key string of the product
---@param sku string
---@return "found"|"absent"|nil
---@return {id: string, ean: string|nil}|neap.Error|nil
function products.find_variant(scayle, key, sku)
    local variant, err = scayle:call({path = product_path(key) .. "/variants/"
        .. client.identifier({key = sku})})
    if not variant then
        if err.status == 404 then
            return "absent"
        end
        return nil, err
    elseif variant.referenceKey ~= sku then
        return "absent" -- found by a key that is taken for the same
    end
    return "found", {id = tostring(variant.id), ean = filled(variant.ean)}
end

--- Whether any product has a variant of this code (contract 5: there is no such call; its stocks
--- answer 404 when there is none).
---@async
---@param scayle scayle.Client
---@param sku string
---@return boolean|nil
---@return neap.Error|nil
function products.has_variant(scayle, sku)
    local answer, err = scayle:call({path = "/variants/" .. client.identifier({key = sku})
        .. "/stocks"})
    if answer then
        return true
    elseif err.status == 404 then
        return false
    end
    return nil, err
end

---@class scayle.NewVariant
---@field sku string
---@field product string reference key
---@field ean string|nil
---@field merchant string
---@field prices {price: integer, currencyCode: string, countryCode: string, tax: number}[]

--- Request that creates a variant in a product that is there.
---@param variant scayle.NewVariant
---@return table request without its connection
function products.create_request(variant)
    return client.request({method = "POST", path = product_path(variant.product) .. "/variants",
        body = {referenceKey = variant.sku, ean = variant.ean,
            merchantReferenceKeys = {variant.merchant}, prices = variant.prices}})
end

--- What became of it: its id; a refusal, and an outcome that is not known, are errors. "exists"
--- tells nothing of whose it is.
---@param answer neap.http.Answer
---@return {id: string|nil}|nil
---@return neap.Error|nil
function products.read_create(answer)
    local variant, err = client.read(answer)
    if not variant then
        return nil, err
    end
    return {id = variant.id and tostring(variant.id) or nil}
end

return products
