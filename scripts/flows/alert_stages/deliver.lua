--- One alert to one recipient: an effect, remembered for ever.
---
--- SMTP cannot be asked whether a message arrived, so after a crash the same bytes go again: class
--- "dedupes", with a Message-ID that depends on the alert alone, by which mailboxes drop the second
--- copy. Webhooks carry the alert's id for the same purpose.
local errors = require("neap.errors")
local json = require("neap.json")
local mail = require("neap.mail")

local function mail_request(channel, alert)
    return mail.message({
        from = channel.from, from_name = channel.from_name, to = alert.to,
        subject = alert.subject, text = alert.text, key = alert.id, date_ms = alert.at_ms,
    })
end

local function hook_request(channel, alert)
    return {
        method = "POST", path = channel.path,
        headers = {["Content-Type"] = "application/json", ["Idempotency-Key"] = alert.id},
        body = json.encode({
            id = alert.id, kind = alert.kind, owner = alert.owner, subject = alert.subject,
            text = alert.text, at_ms = alert.at_ms, data = alert.data,
        }),
    }
end

local function hook_read(answer)
    if answer.status >= 200 and answer.status < 300 then
        return {code = answer.status}
    end
    return nil, errors.new({
        kind = "remote", status = answer.status,
        message = string.format("the receiver answers %d", answer.status),
        retryable = answer.status >= 500 or answer.status == 429 or answer.status == 408,
    })
end

-- What will not do by itself: an account, an address or a receiver that says no.
local function hold(job, alert, channel, err)
    local is_login = err.status == 530 or err.status == 535 or err.status == 401
        or err.status == 403
    if is_login or not err.status then
        job:hold({{
            cause = "connection_refused", recheck = "reload",
            subject = string.format("%s %s", channel.connection, err.status or err.kind),
            message = string.format(is_login and "%s refuses our login: %s"
                or "No alert can go through %s: %s", channel.connection, err.message),
            remedy = "Correct the " .. (is_login and "login of the connection" or "connection")
                .. " in the manifest; then retry this.",
        }})
    end
    local is_hook = channel.kind == "webhook"
    job:hold({{
        cause = "alert_refused", subject = alert.to == "" and channel.connection or alert.to,
        message = string.format("An alert cannot be delivered: %s", err.message),
        remedy = is_hook and "Correct the receiver, then release this: it is told again."
            or "Correct the owner's address in the manifest, for alerts to come. This one goes to "
                .. "where it went: release it once that address takes it, or dismiss it.",
        recheck = "manual",
    }})
end

---@async
---@param job neap.Job
return function(job)
    local alert = json.decode(job.event.payload)
    local channel = job.settings.channels[alert.channel]
    -- In quotes: an order answers to the last word of its title, and the subject may end in one.
    job:facts({title = string.format("alert \"%s\"", alert.subject)})
    if not channel then
        job:hold({{
            cause = "alert_refused", subject = alert.channel, recheck = "reload",
            message = string.format("An alert cannot be delivered: the channel %s is gone",
                alert.channel),
            remedy = "Give the channel in the manifest again, or dismiss the alert.",
        }})
    end
    local is_mail = channel.kind == "mail"
    local done, err = job:effect({
        connection = channel.connection, name = "alert", key = alert.id, class = "dedupes",
        request = function()
            return is_mail and mail_request(channel, alert) or hook_request(channel, alert)
        end,
        read = is_mail and mail.read or hook_read,
    })
    if done then
        job:facts({state = "told " .. (alert.to == "" and alert.channel or alert.to)})
        return
    elseif err.retryable or err.kind == "cancelled" then
        error(err, 0)
    end
    hold(job, alert, channel, err)
end
