---@meta neap.money
error("this file describes neap.money to editors; require(\"neap.money\") gives the module itself")

--- Exact decimals, minor units, currencies. No float holds money: a Lua float raises everywhere but in
--- from_number. A result that does not fit (19 digits, 12 decimals) raises an error object of kind limit.
---@class neap.money
local money = {}

---@alias neap.money.Rounding "half_away"|"half_even"|"down"|"up"|"floor"|"ceil"

--- A number with up to 12 decimals. Operators + - * and unary - mix with integers and are exact; < and
--- <= too; == compares two decimals by value (with an integer use compare). There is no "/": a
--- division names its rounding. tostring gives plain notation with all decimals of the scale.
---@class neap.money.Decimal
---@operator add(neap.money.Decimal|integer): neap.money.Decimal
---@operator sub(neap.money.Decimal|integer): neap.money.Decimal
---@operator mul(neap.money.Decimal|integer): neap.money.Decimal
---@operator unm: neap.money.Decimal
---@operator concat(any): string
local Decimal = {}

--- The quotient, rounded once to `scale` decimals. Raises on division by zero.
---@param other neap.money.Decimal|integer
---@param scale integer
---@param mode neap.money.Rounding
---@return neap.money.Decimal
--- Example: `local net = gross:div(money.decimal("1.2"), 4, "half_even")`
function Decimal:div(other, scale, mode) end

--- To exactly `scale` decimals.
---@param scale integer
---@param mode neap.money.Rounding
---@return neap.money.Decimal
--- Example: `local price = net:round(2, "half_away")`
function Decimal:round(scale, mode) end

--- To exactly `scale` decimals without changing the value; raises (kind invalid) where that cannot be.
---@param scale integer
---@return neap.money.Decimal
--- Example: `tostring(money.decimal("5"):rescale(2)) == "5.00"`
function Decimal:rescale(scale) end

--- The same value without zeros at the end.
---@return neap.money.Decimal
--- Example: `tostring(money.decimal("1.500"):trim()) == "1.5"`
function Decimal:trim() end

--- The number of decimals.
---@return integer
--- Example: `money.decimal("1.50"):scale() == 2`
function Decimal:scale() end

--- -1, 0 or 1.
---@return integer
--- Example: `if balance:sign() < 0 then ... end`
function Decimal:sign() end

--- The value without its sign.
---@return neap.money.Decimal
--- Example: `local difference = (a - b):abs()`
function Decimal:abs() end

--- -1, 0 or 1 as the value is below, equal to or above the other.
---@param other neap.money.Decimal|integer
---@return integer
--- Example: `if rate:compare(20) == 0 then ... end`
function Decimal:compare(other) end

---@return boolean
--- Example: `if not difference:is_zero() then ... end`
function Decimal:is_zero() end

--- The value as an integer; raises (kind invalid) when it has decimals that are not zero.
---@return integer
--- Example: `local quantity = money.decimal("5.00"):to_integer()`
function Decimal:to_integer() end

--- The value in minor units. Errors: invalid (not a whole number of them, unknown currency), limit.
---@param digits integer|string number of minor digits, or a currency
---@return integer|nil
---@return neap.Error|nil
--- Example: `local pence, err = price:to_minor("GBP")`
function Decimal:to_minor(digits) end

--- Reads "-12.345" (no exponent, at most 12 decimals), or makes a decimal of an integer, whose last
--- `scale` digits are decimals. Errors: invalid, limit.
---@param value string|integer|neap.money.Decimal
---@param scale integer|nil only with an integer
---@return neap.money.Decimal|nil
---@return neap.Error|nil
--- Example: `local price = errors.check(money.decimal("19.99"))`
function money.decimal(value, scale) end

--- Reads a number of a JSON document by its shortest decimal text, when that has at most max_scale
--- decimals. Errors: invalid (more decimals), limit.
---@param number number
---@param max_scale integer
---@return neap.money.Decimal|nil
---@return neap.Error|nil
--- Example: `local rate, err = money.from_number(tax.rate, 4)`
function money.from_number(number, max_scale) end

--- Errors: invalid (unknown currency).
---@param minor integer
---@param currency string ISO 4217
---@return neap.money.Decimal|nil
---@return neap.Error|nil
--- Example: `local price = money.from_minor(1999, "GBP")`
function money.from_minor(minor, currency) end

---@param value any
---@return boolean
--- Example: `if money.is_decimal(value) then ... end`
function money.is_decimal(value) end

--- The number of minor digits. Errors: invalid (unknown currency).
---@param currency string
---@return integer|nil
---@return neap.Error|nil
--- Example: `money.digits("JPY") == 0`
function money.digits(currency) end

--- Errors: invalid (unknown currency).
---@param minor integer
---@param currency string
---@return string|nil
---@return neap.Error|nil
--- Example: `money.to_text(1234, "GBP") == "12.34"`
function money.to_text(minor, currency) end

--- Errors: invalid (unknown currency).
---@param minor integer
---@param currency string
---@return string|nil
---@return neap.Error|nil
--- Example: `money.format(1234, "GBP") == "GBP 12.34"`
function money.format(minor, currency) end

--- Splits an amount in proportion to the weights (none negative). The shares add up to the amount
--- exactly: largest remainder, on a tie the earlier; a negative amount is the mirror image.
--- Errors: invalid (the weights are negative or add up to zero), limit.
---@param minor integer
---@param weights (integer|neap.money.Decimal)[]
---@return integer[]|nil
---@return neap.Error|nil
--- Example: `local shares = money.split(1000, {1, 1, 1}) -- 334, 333, 333`
function money.split(minor, weights) end

return money
