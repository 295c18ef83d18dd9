---@meta neap.mail
error("this file describes neap.mail to editors; require(\"neap.mail\") gives the module itself")

--- E-mail to declared mail servers (connections with an smtp:// or smtps:// base_url). The same message
--- (sender and key) always has the same Message-ID: whoever receives it twice can drop the second. SMTP
--- itself cannot be asked whether a message arrived, so the honest class of an effect is "dedupes".
---@class neap.mail
local mail = {}

---@class neap.mail.Message
---@field from string "neap@example.com"; ASCII, no name
---@field from_name string|nil "Neap at Fellside"
---@field to string|string[]
---@field subject string UTF-8, at most 500 bytes; line ends and control characters are refused
---@field text string UTF-8
---@field key string what the message is about; the Message-ID comes from it
---@field date_ms integer|nil default now

--- The request that carries a message, for job:effect. Raises what cannot be sent (addresses, subject).
---@param message neap.mail.Message
---@return neap.http.Request
--- Example: `request = mail.message{from = from, to = to, subject = "...", text = text, key = id}`
function mail.message(message) end

--- What the mail server said: its code and words, or an error. 4xx may be tried again (greylisting, a
--- full or busy server), 5xx not. Errors: remote.
---@param answer neap.http.Answer
---@return {code: integer, text: string}|nil
---@return neap.Error|nil
--- Example: `job:effect{connection = "mail", class = "dedupes", read = mail.read, ...}`
function mail.read(answer) end

--- Sends without remembering; most want an effect (see mail.message). The message names its connection.
--- Errors: remote, network, timeout, limit, cancelled.
---@async
---@param message neap.mail.Message|{connection: string}
---@return {code: integer, text: string}|nil
---@return neap.Error|nil
--- Example: `local sent, err = mail.send{connection = "mail", from = from, to = to, ...}`
function mail.send(message) end

return mail
