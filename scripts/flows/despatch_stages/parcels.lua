--- What of the parcels that Khaos shows is news. Over SOAP a parcel has no id that stays: a box is
--- known by its tracking number, which may come late or be corrected, and an invoice may be seen
--- before its boxes. What stays is the invoice (contract 4.2), and how much of each code has left
--- with it: only what exceeds what was planned for its parcels before is a parcel to tell of.
local parcels = {}

--- A parcel whose units were chosen, in the order's book by its id. It is told from here alone.
---@class despatch.Planned
---@field number integer in the order in which they were planned
---@field shipment string what stays: the invoice, in Khaos Cloud the id of the shipment
---@field items {stock_code: string, quantity: integer, import_ref: string|nil}[] of Khaos
---@field units string[] ids
---@field told string[] those of them that SCAYLE is told of
---@field told_again integer|nil how often it was told of fewer, after a refusal
---@field carrier string
---@field shipment_key string
---@field left_at string
---@field is_told boolean|nil
---@field by_hand boolean|nil a person entered it in SCAYLE (flows.despatch_stages.by_hand)
---@field is_unissued boolean|nil it left before its invoice was issued
---@field issued_ms integer|nil

---@param parcel table as in khaos.Snapshot
---@return string
function parcels.shipment_of(parcel)
    return parcel.shipment or parcel.invoice
end

-- Takes from `left` (stock code -> quantity) what an item asks for; gives what was not there.
local function take(left, item)
    local taken = math.min(left[item.stock_code] or 0, item.quantity)
    left[item.stock_code] = (left[item.stock_code] or 0) - taken
    return item.quantity - taken
end

local function rest_of(items, left)
    local rest = {}
    for _, item in ipairs(items) do
        local quantity = take(left, item)
        if quantity > 0 then
            rest[#rest + 1] = {stock_code = item.stock_code, quantity = quantity,
                import_ref = item.import_ref}
        end
    end
    return rest
end

local function add(sums, items)
    for _, item in ipairs(items) do
        sums[item.stock_code] = (sums[item.stock_code] or 0) + item.quantity
    end
    return sums
end

-- By shipment: what was planned and is not in a parcel that Khaos shows under the same id any more,
-- and how many parcels are not shown at all.
local function moved(book, snapshot)
    local shown, pools = {}, {}
    for _, parcel in ipairs(snapshot.parcels) do
        shown[parcel.id] = parcel.items
    end
    for id, planned in pairs(book.parcels) do
        local pool = pools[planned.shipment] or {codes = {}, count = 0}
        pools[planned.shipment] = pool
        pool.count = pool.count + (shown[id] and 0 or 1)
        add(pool.codes, rest_of(planned.items, add({}, shown[id] or {})))
    end
    return pools
end

local function free_id(book, id)
    local free, number = id, 1
    while book.parcels[free] do
        number = number + 1
        free = id .. "+" .. number
    end
    return free
end

-- The part of a parcel that is news; nil when nothing of it is.
local function news_of(book, parcel, pool)
    local planned = book.parcels[parcel.id]
    if #parcel.items == 0 then -- Khaos does not say what is in it
        if planned or pool and pool.count > 0 then
            if pool and not planned then
                pool.count = pool.count - 1
            end
            return nil
        end
        return parcel
    end
    local items = rest_of(parcel.items, planned and add({}, planned.items) or {})
    items = pool and rest_of(items, pool.codes) or items
    if #items == 0 then
        return nil
    end
    return setmetatable({id = free_id(book, parcel.id), items = items}, {__index = parcel})
end

--- Parcels of a snapshot that no plan covers, those with a tracking number first.
---@param book units.Book
---@param snapshot khaos.Snapshot
---@return table[] as in khaos.Snapshot
function parcels.news(book, snapshot)
    local pools, list, late = moved(book, snapshot), {}, {}
    for _, parcel in ipairs(snapshot.parcels) do
        local part = news_of(book, parcel, pools[parcels.shipment_of(parcel)])
        if part then
            table.insert(part.consignment and list or late, part)
        end
    end
    return table.move(late, 1, #late, #list + 1, list)
end

--- Ids of parcels whose units were chosen and that SCAYLE may not know of yet, oldest first.
---@param book units.Book
---@return string[]
function parcels.untold(book)
    local ids = {}
    for id, planned in pairs(book.parcels) do
        ids[#ids + 1] = not planned.is_told and #planned.units > 0 and id or nil
    end
    table.sort(ids, function(a, b)
        return book.parcels[a].number < book.parcels[b].number
    end)
    return ids
end

---@param book units.Book
---@return integer
function parcels.next_number(book)
    local number = 1
    for _ in pairs(book.parcels) do
        number = number + 1
    end
    return number
end

--- What SCAYLE was told of and Khaos shows as left no more: it took a shipment back. Over all
--- shipments, because an invoice may be made anew under another code.
---@param book units.Book
---@param snapshot khaos.Snapshot
---@return string|nil words, nil: nothing
function parcels.taken_back(book, snapshot)
    local told, words = {}, {}
    if snapshot.is_cancelled then
        return nil -- it may show no parcels at all
    end
    for _, planned in pairs(book.parcels) do
        add(told, planned.is_told and planned.items or {})
    end
    for _, parcel in ipairs(snapshot.parcels) do
        if #parcel.items == 0 then
            return nil -- Khaos does not say what is in it
        end
        for _, item in ipairs(parcel.items) do
            told[item.stock_code] = (told[item.stock_code] or 0) - item.quantity
        end
    end
    for code, quantity in pairs(told) do
        words[#words + 1] = quantity > 0 and string.format("%d x %s", quantity, code) or nil
    end
    table.sort(words)
    return #words > 0 and table.concat(words, ", ") or nil
end

--- Is there anything that SCAYLE must be told of?
---@param book units.Book
---@param snapshot khaos.Snapshot
---@return boolean
function parcels.are_open(book, snapshot)
    return #parcels.untold(book) > 0 or #parcels.news(book, snapshot) > 0
end

--- Units of the parcels that a snapshot shows.
---@param snapshot khaos.Snapshot
---@return integer
function parcels.count(snapshot)
    local sum = 0
    for _, parcel in ipairs(snapshot.parcels) do
        for _, item in ipairs(parcel.items) do
            sum = sum + item.quantity
        end
    end
    return sum
end

return parcels
