--- Fees that SCAYLE's messages refund, in the ledger of refunds. Pure over the book.
---
--- A message says which fees it refunds and how much each is; the order never does. With the
--- refund's own id each refund counts once, at the amount it states. Without one, equal amounts of
--- two messages are taken as one refund told twice, different ones as parts, as far as they come to
--- no more than the fee: parts that exceed it were told cumulatively. Two equal parts that both fit
--- into the fee may be two refunds: that is doubtful, and a person is asked.
local refund_fees = {}

---@class refunds.Fee
---@field minor integer
---@field at_ms integer|nil when it was known; nil: it is doubtful
---@field doubt_ms integer|nil when it was doubtful first
---@field group string category and key
---@field charge string|nil name of the charge that it was posted as; nil: it cannot be told
---@field source string what told it, of those that cannot tell one refund twice
---@field doubt_source string|nil the same while it is doubtful
---@field is_refund boolean|nil told with the refund's id
---@field is_own boolean|nil and with its amount: what it says is this refund's alone

local DELIVERY = {delivery = true, shipment = true}

local function sum(amounts)
    local total = 0
    for _, minor in pairs(amounts) do
        total = total + minor
    end
    return total
end

-- ---- what it comes to ------------------------------------------------------------------------

-- What the entries of one fee come to: parts, or the largest where parts would exceed the fee.
local function value(entries, whole)
    local total, most, by_source, is_own = 0, 0, {}, false
    for _, entry in ipairs(entries) do
        total, is_own = total + entry.minor, is_own or entry.is_own
        by_source[entry.source] = (by_source[entry.source] or 0) + entry.minor
        most = math.max(most, by_source[entry.source])
    end
    return (total <= whole or is_own) and total or most
end

local function is_by(ms, at_ms)
    return ms ~= nil and ms <= (at_ms or math.maxinteger)
end

-- Refunds with an id are the truth of a fee; what messages without one say beyond it is doubtful.
local function of_group(entries, whole, at_ms)
    local refunds, messages, doubtful = {}, {}, {}
    for _, entry in ipairs(entries) do
        if is_by(entry.at_ms, at_ms) then
            table.insert(entry.is_refund and refunds or messages, entry)
        elseif is_by(entry.doubt_ms, at_ms) then
            table.insert(doubtful, {minor = entry.minor, source = entry.doubt_source,
                is_own = entry.is_own})
        end
    end
    local said = value(messages, whole)
    if #refunds > 0 then
        local known = value(refunds, whole)
        return known, math.max(0, said - known)
    end
    table.move(doubtful, 1, #doubtful, #messages + 1, messages)
    return said, math.max(0, value(messages, whole) - said)
end

-- What SCAYLE charges of a group, by an instant.
local function whole_of(ledger, group, at_ms)
    local minor
    for _, entry in ipairs(ledger.wholes[group] or {}) do
        minor = is_by(entry.at_ms, at_ms) and entry.minor or minor
    end
    return minor
end

local function by_group(ledger, charge_name)
    local groups = {}
    for _, fee in pairs(ledger.fees) do
        if fee.charge == charge_name then
            groups[fee.group] = groups[fee.group] or {}
            table.insert(groups[fee.group], fee)
        end
    end
    return groups
end

--- What SCAYLE gave back of a charge, by an instant, and what it may have given back besides. What
--- Khaos credits beyond the former settles the latter.
---@param ledger refunds.Ledger
---@param charge table of the book
---@param at_ms integer|nil
---@return integer minor
---@return integer doubtful
function refund_fees.of_charge(ledger, charge, at_ms)
    local known, doubtful = 0, 0
    for group, entries in pairs(by_group(ledger, charge.name)) do
        local whole = math.min(whole_of(ledger, group, at_ms) or charge.minor, charge.minor)
        local minor, more = of_group(entries, whole, at_ms)
        known, doubtful = known + minor, doubtful + more
    end
    local settled = math.min(doubtful, math.max(0, sum(charge.credits) - known))
    return known + settled, doubtful - settled
end

--- The same of fees that are no charge of the book.
---@param ledger refunds.Ledger
---@param at_ms integer|nil
---@return integer minor
---@return integer doubtful
function refund_fees.loose(ledger, at_ms)
    local known, doubtful = 0, 0
    for group, entries in pairs(by_group(ledger, nil)) do
        local minor, more = of_group(entries,
            whole_of(ledger, group, at_ms) or math.maxinteger, at_ms)
        known, doubtful = known + minor, doubtful + more
    end
    return known, doubtful
end

--- Records of before fees had groups: the id is category, key, amount and number.
---@param ledger refunds.Ledger changed in place
function refund_fees.read_old(ledger)
    for id, fee in pairs(ledger.fees) do
        fee.source = fee.source or id:match("^(.*):%d+$")
        fee.group = fee.group or fee.source:match("^(.*):%-?%d+$")
    end
end

-- ---- telling ---------------------------------------------------------------------------------

-- How well a fee goes with a charge; 0 for not at all.
local function likeness(ledger, charge, fee)
    local own = charge.fee
    local has_room = refund_fees.of_charge(ledger, charge) + fee.minor <= charge.minor
    local is_as_much = charge.minor == fee.minor or charge.minor == whole_of(ledger, fee.group)
    if own and own.category == fee.category and own.key == fee.key then
        return has_room and 5 or 4
    elseif DELIVERY[fee.category] and charge.name == "delivery" then
        return has_room and 3 or 2
    end
    return is_as_much and has_room and 1 or 0
end

-- The charge that other parts of the same fee were posted as.
local function charge_of_parts(ledger, fee)
    for _, other in pairs(ledger.fees) do
        if other.group == fee.group and other.minor ~= fee.minor then
            return other.charge
        end
    end
    return nil
end

-- The charge a fee was posted as: the fee's own, delivery, or one that costs as much. Of equal ones
-- the first that was not given back: which of them it is makes no difference to the money.
local function charge_of(book, ledger, fee, number)
    local found, best = number == 1 and charge_of_parts(ledger, fee) or nil, 0
    for _, charge in ipairs(found and {} or book.charges) do
        local likely = likeness(ledger, charge, fee)
        if likely > best then
            found, best = charge.name, likely
        end
    end
    return found
end

-- What one refund says is its own: no more than it states. Of several fees that come to more it is
-- not known how much each is.
local function own_fees(news)
    local fees, total = news.fees or {}, 0
    for _, fee in ipairs(fees) do
        total = total + fee.minor
    end
    local stated = news.stated and news.stated.minor or total
    if total <= stated then
        return fees
    end
    return #fees == 1 and {{category = fees[1].category, key = fees[1].key, minor = stated}} or {}
end

local function add(ledger, id, fee, place_of)
    local entry = ledger.fees[id]
    if not entry then
        entry = {minor = fee.minor, group = fee.group, source = fee.source, charge = place_of(),
            is_refund = fee.is_refund, is_own = fee.is_own}
        ledger.fees[id] = entry
    end
    return entry
end

local function tell_refund(book, ledger, news, fee, count)
    fee.source, fee.is_refund, fee.is_own = news.refund_id, true, news.stated ~= nil or nil
    for number = 1, count do
        local id = string.format("%s:%d:%d of %s", fee.group, fee.minor, number, news.refund_id)
        local entry = add(ledger, id, fee, function()
            return charge_of(book, ledger, fee, number)
        end)
        entry.at_ms = entry.at_ms or news.at_ms
    end
end

-- Of one message each is a refund of its own; beyond the most that one message says, those that
-- another says are doubtful.
local function tell_message(book, ledger, news, fee, count)
    local place = string.format("%s:%d", fee.group, fee.minor)
    local told = ledger.fee_messages[place] or {}
    ledger.fee_messages[place] = told
    told[news.message or news.id] = count
    local known = 0
    for _, of_one in pairs(told) do
        known = math.max(known, of_one)
    end
    for number = 1, sum(told) do
        local is_known = number <= known
        fee.source = is_known and place or place .. ":" .. number
        local entry = add(ledger, place .. ":" .. number, fee, function()
            if is_known then
                return charge_of(book, ledger, fee, number)
            end
            return ledger.fees[place .. ":" .. ((number - 1) % known + 1)].charge
        end)
        if is_known then
            entry.at_ms, entry.source = entry.at_ms or news.at_ms, place
        else
            entry.doubt_ms, entry.doubt_source = entry.doubt_ms or news.at_ms, fee.source
        end
    end
end

--- Tells what SCAYLE charges of a group. The most counts.
---@param ledger refunds.Ledger changed in place
---@param group string
---@param minor integer
---@param at_ms integer
function refund_fees.tell_whole(ledger, group, minor, at_ms)
    if minor > (whole_of(ledger, group) or -1) then
        ledger.wholes[group] = ledger.wholes[group] or {}
        table.insert(ledger.wholes[group], {minor = minor, at_ms = at_ms})
    end
end

--- Tells of the fees that a message refunds. Repeats change nothing.
---@param book units.Book
---@param ledger refunds.Ledger changed in place
---@param news refunds.News
function refund_fees.tell(book, ledger, news)
    local counts, fees = {}, {}
    for _, fee in ipairs(own_fees(news)) do
        local group = fee.category .. ":" .. fee.key
        local place = group .. ":" .. fee.minor
        if not counts[place] then
            fees[#fees + 1] = {category = fee.category, key = fee.key, minor = fee.minor,
                group = group, place = place}
        end
        counts[place] = (counts[place] or 0) + 1
    end
    local tell = news.refund_id and tell_refund or tell_message
    for _, fee in ipairs(fees) do
        tell(book, ledger, news, fee, counts[fee.place])
    end
end

return refund_fees
