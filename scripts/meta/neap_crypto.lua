---@meta neap.crypto
error("this file describes neap.crypto to editors; require(\"neap.crypto\") gives the module itself")

--- Digests, signatures of webhooks, text forms of bytes.
---@class neap.crypto
local crypto = {}

---@param text string
---@return string hex
--- Example: `local fingerprint = crypto.sha256(request.body)`
function crypto.sha256(text) end

---@param key string
---@param text string
---@return string hex
--- Example: `local expected = crypto.hmac_sha256(key, request.body)`
function crypto.hmac_sha256(key, text) end

---@param bytes string
---@return string text padded, RFC 4648 section 4
--- Example: `crypto.base64_encode("foob") == "Zm9vYg=="`
function crypto.base64_encode(bytes) end

--- Strict: padded, no white space. Errors: invalid.
---@param text string
---@return string|nil bytes
---@return neap.Error|nil
--- Example: `local bytes, err = crypto.base64_decode(header)`
function crypto.base64_decode(text) end

---@param bytes string
---@return string text lower case
--- Example: `crypto.hex_encode("\255") == "ff"`
function crypto.hex_encode(bytes) end

--- Errors: invalid.
---@param text string
---@return string|nil bytes
---@return neap.Error|nil
--- Example: `local bytes, err = crypto.hex_decode("00ff")`
function crypto.hex_decode(text) end

--- Compares in a time that does not tell where the texts differ.
---@param a string
---@param b string
---@return boolean
--- Example: `if not crypto.equal(expected, signature) then ... end`
function crypto.equal(a, b) end

--- Random bytes as hex, from the job's seeded randomness: the same in a replay, so never for secrets.
---@param bytes integer 1 to 1024
---@return string hex of twice that length
--- Example: `local reference = crypto.random_hex(8)`
function crypto.random_hex(bytes) end

return crypto
