--- Fees that SCAYLE's messages refund, in the ledger of refunds. Pure over the book.
---
--- A message says which fees it refunds and how much each is; the order never does. With the
--- refund's own id each refund counts once, at the amount it states. Without one, equal amounts of
--- two messages are taken as one refund told twice, different ones as parts, as far as they come to
--- no more than the fee: parts that exceed it were told cumulatively. Two equal parts that both fit
--- into the fee, or into two charges of it, may be two refunds: that is doubtful, and a person is
--- asked.
local refund_fees = {}

---@class refunds.Fee
---@field minor integer
---@field at_ms integer|nil when it was known; nil: it is doubtful
---@field doubt_ms integer|nil when it was doubtful first
---@field group string category and key
---@field charge string|nil name of the charge that it was posted as; nil: it cannot be told
---@field doubt_charge string|nil the same while it is doubtful
---@field source string what told it, of those that cannot tell one refund twice
---@field is_refund boolean|nil told with the refund's id
---@field own_ms integer|nil since when its amount is known too: this is that refund's alone
---@field until_ms integer|nil when another message about this refund told it otherwise

local DELIVERY = {delivery = true, shipment = true}

local function sum(amounts)
    local total = 0
    for _, minor in pairs(amounts) do
        total = total + minor
    end
    return total
end

-- ---- what it comes to ------------------------------------------------------------------------

local function is_by(ms, at_ms)
    return ms ~= nil and ms <= (at_ms or math.maxinteger)
end

--- Was it known by an instant, and not told otherwise by then?
---@param fee refunds.Fee
---@param at_ms integer|nil
---@return boolean
function refund_fees.is_known(fee, at_ms)
    return is_by(fee.at_ms, at_ms) and not is_by(fee.until_ms, at_ms)
end

-- What the entries of one fee come to: parts, or the largest where parts would exceed the fee.
local function value(entries, whole, at_ms)
    local total, most, by_source, is_own = 0, 0, {}, false
    for _, entry in ipairs(entries) do
        total, is_own = total + entry.minor, is_own or is_by(entry.own_ms, at_ms)
        by_source[entry.source] = (by_source[entry.source] or 0) + entry.minor
        most = math.max(most, by_source[entry.source])
    end
    local is_parts = total <= whole or is_own
    return is_parts and total or most, is_parts
end

-- The most that some of the amounts come to within a room.
local function most_within(amounts, room)
    local list, has, most = {0}, {[0] = true}, 0
    if sum(amounts) <= room then
        return sum(amounts)
    end
    for _, minor in ipairs(amounts) do
        for i = 1, #list do
            local one = list[i] + minor
            if one <= room and not has[one] then
                has[one], list[#list + 1], most = true, one, math.max(most, one)
            end
        end
    end
    return most
end

-- Refunds with an id are the truth of a fee; what messages without one say beyond it is doubtful.
-- Of doubtful parts as many may be refunds as fit into the fee beside those that are known.
local function of_group(entries, whole, at_ms)
    local refunds, messages, doubtful = {}, {}, {}
    for _, entry in ipairs(entries) do
        if refund_fees.is_known(entry, at_ms) then
            table.insert(entry.is_refund and refunds or messages, entry)
        elseif is_by(entry.doubt_ms, at_ms) then
            table.insert(doubtful, entry.minor)
        end
    end
    local said, is_parts = value(messages, whole, at_ms)
    if #refunds > 0 then
        local known = value(refunds, whole, at_ms)
        return known, math.max(0, said - known)
    end
    return said, is_parts and most_within(doubtful, whole - said) or 0
end

-- What SCAYLE charges of a group, by an instant.
local function whole_of(ledger, group, at_ms)
    local minor
    for _, entry in ipairs(ledger.wholes[group] or {}) do
        minor = is_by(entry.at_ms, at_ms) and entry.minor or minor
    end
    return minor
end

local function by_group(ledger, charge_name, at_ms)
    local groups = {}
    for _, fee in pairs(ledger.fees) do
        local charge
        if is_by(fee.at_ms, at_ms) then
            charge = fee.charge
        else
            charge = fee.doubt_charge
        end
        if charge == charge_name then
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
    for group, entries in pairs(by_group(ledger, charge.name, at_ms)) do
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
    for group, entries in pairs(by_group(ledger, nil, at_ms)) do
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
local function own_fees(fees, stated)
    local total = 0
    for _, fee in ipairs(fees) do
        total = total + fee.minor
    end
    if not stated or total <= stated then
        return fees
    end
    local only = fees[1]
    return #fees == 1 and {{category = only.category, key = only.key, group = only.group,
        minor = stated}} or {}
end

-- The fees of a message, each with its number among equal ones, and how many of each there are.
local function numbered(fees)
    local list, counts = {}, {}
    for i, fee in ipairs(fees) do
        local group = fee.category .. ":" .. fee.key
        local place = group .. ":" .. fee.minor
        counts[place] = (counts[place] or 0) + 1
        list[i] = {category = fee.category, key = fee.key, minor = fee.minor, group = group,
            place = place, number = counts[place]}
    end
    return list, counts
end

-- All that messages about one refund tell of its fees. It is the same refund: of each fee the
-- message counts that tells the most.
local function heard_of(ledger, news)
    local heard, said, fees = ledger.refund_fees[news.refund_id] or {}, {}, {}
    ledger.refund_fees[news.refund_id] = heard
    for _, fee in ipairs(numbered(news.fees or {})) do
        local own = said[fee.group] or {category = fee.category, key = fee.key, minors = {}}
        said[fee.group] = own
        table.insert(own.minors, fee.minor)
    end
    for group, own in pairs(said) do
        local is_more = not heard[group] or sum(own.minors) > sum(heard[group].minors)
        heard[group] = is_more and own or heard[group]
    end
    for group, own in pairs(heard) do
        for _, minor in ipairs(own.minors) do
            fees[#fees + 1] = {category = own.category, key = own.key, group = group, minor = minor}
        end
    end
    table.sort(fees, function(a, b)
        return a.group < b.group or a.group == b.group and a.minor < b.minor
    end)
    return fees
end

-- Each message about a refund may tell what another left out: its amount, or its fees.
local function tell_refund(book, ledger, news)
    local stated, wanted = ledger.stated[news.refund_id], {}
    local fees = numbered(own_fees(heard_of(ledger, news), stated and stated.minor))
    for _, fee in ipairs(fees) do
        fee.id = string.format("%s:%d of %s", fee.place, fee.number, news.refund_id)
        wanted[fee.id] = true
    end
    for id, entry in pairs(ledger.fees) do
        if entry.is_refund and entry.source == news.refund_id and not wanted[id] then
            entry.until_ms = entry.until_ms or news.at_ms
        end
    end
    for _, fee in ipairs(fees) do
        local entry = ledger.fees[fee.id] or {minor = fee.minor, group = fee.group,
            source = news.refund_id, is_refund = true, at_ms = news.at_ms,
            charge = charge_of(book, ledger, fee, fee.number)}
        entry.own_ms = entry.own_ms or stated and news.at_ms or nil
        ledger.fees[fee.id] = entry
    end
end

-- What SCAYLE charges of a fee, or what was posted of it where the order does not show it, less all
-- that was told of it.
local function room_of(book, ledger, fee)
    local room = whole_of(ledger, fee.group)
    if not room then
        room = 0
        for _, charge in ipairs(book.charges) do
            local own = charge.fee
            local is_own = own and own.category == fee.category and own.key == fee.key
            room = room + (is_own and charge.minor or 0)
        end
    end
    for _, entry in pairs(ledger.fees) do
        local is_known = entry.group == fee.group and refund_fees.is_known(entry)
        room = room - (is_known and entry.minor or 0)
    end
    return room
end

-- The charge of an equal fee that another message tells: the same one's, or another where that has
-- no room for a second and SCAYLE charges so much.
local function charge_of_doubt(book, ledger, fee, same)
    for _, charge in ipairs(book.charges) do
        local is_full = charge.name == same.charge
            and refund_fees.of_charge(ledger, charge) + fee.minor > charge.minor
        if is_full and room_of(book, ledger, fee) >= fee.minor then
            return charge_of(book, ledger, fee, 2) or same.charge
        end
    end
    return same.charge
end

-- Of one message each is a refund of its own; beyond the most that one message says, those that
-- another says are doubtful.
local function tell_equal(book, ledger, news, fee, count)
    local told, known = ledger.fee_messages[fee.place] or {}, 0
    ledger.fee_messages[fee.place] = told
    told[news.message or news.id] = count
    for _, of_one in pairs(told) do
        known = math.max(known, of_one)
    end
    for number = 1, sum(told) do
        local id = fee.place .. ":" .. number
        local entry = ledger.fees[id] or {minor = fee.minor, group = fee.group, source = fee.place}
        ledger.fees[id] = entry
        if number <= known and not entry.at_ms then
            entry.charge = charge_of(book, ledger, fee, number)
            entry.at_ms = news.at_ms
        elseif number > known and not entry.doubt_ms then
            local same = ledger.fees[fee.place .. ":" .. ((number - 1) % known + 1)]
            entry.doubt_charge = charge_of_doubt(book, ledger, fee, same)
            entry.doubt_ms = news.at_ms
        end
    end
end

local function tell_message(book, ledger, news)
    local fees, counts = numbered(news.fees or {})
    for _, fee in ipairs(fees) do
        if fee.number == 1 then
            tell_equal(book, ledger, news, fee, counts[fee.place])
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

--- Tells of the fees that a message refunds; the amounts that refunds state are told. Repeats
--- change nothing.
---@param book units.Book
---@param ledger refunds.Ledger changed in place
---@param news refunds.News
function refund_fees.tell(book, ledger, news)
    local tell = news.refund_id and tell_refund or tell_message
    tell(book, ledger, news)
end

return refund_fees
