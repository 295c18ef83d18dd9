--- What a person is asked about the cancellation of a part of an order.
local part_desk = {}

local function counted(list)
    local counts, words = {}, {}
    for _, name in ipairs(list) do
        words[#words + 1] = not counts[name] and name or nil
        counts[name] = (counts[name] or 0) + 1
    end
    for i, name in ipairs(words) do
        words[i] = string.format("%d x %s", counts[name], name)
    end
    return table.concat(words, ", ")
end

--- "1 x TS-RED-L, 2 x SOCK"
---@param units {sku: string}[]
---@return string
function part_desk.text(units)
    local skus = {}
    for i, unit in ipairs(units) do
        skus[i] = unit.sku
    end
    return counted(skus)
end

local function remedy_of(record, has_left)
    if has_left then
        return string.format("Stop the parcel, or leave what has left to the return; take the "
            .. "others off sales order %s in Khaos and cancel them in SCAYLE. Then close this.",
            record.order_code)
    elseif record.order_code then
        return string.format("Take them off sales order %s in Khaos before it is sent, and cancel "
            .. "them in SCAYLE; then close this. If they must be sent, dismiss it.",
            record.order_code)
    end
    return "Cancel them in SCAYLE: while the order is not in Khaos yet, only what is left is "
        .. "posted. If it is there by then, take them off in Khaos too. Then close this."
end

--- Asks a person to do it, for nobody else can.
---@param job neap.Job
---@param record table of the order
---@param asked units.Asked
---@param words string|nil why
---@param has_left boolean|nil some of the units have left
function part_desk.ask(job, record, asked, words, has_left)
    job:open_exception({cause = "cancel_part",
        subject = string.format("%s at %s", record.order_id, asked.place),
        message = string.format("The shopper wants a part of order %s cancelled: %s%s",
            record.order_id, asked.text, words and "; " .. words or ""),
        remedy = remedy_of(record, has_left), recheck = "manual"})
end

return part_desk
