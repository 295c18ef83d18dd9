--- Seeded random numbers for the sandboxes: number n of a seed is a pure function, so a run repeats
--- from the seed and a counter kept in the store.

local random = {}

local GOLDEN = 0x9E3779B97F4A7C15
local UNIT = 1.0 / (1 << 53)

-- The finaliser of splitmix64: spreads consecutive inputs over all 64 bits.
local function mix(z)
    z = (z ~ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ~ (z >> 27)) * 0x94D049BB133111EB
    return z ~ (z >> 31)
end

---@param seed integer
---@param index integer
---@return integer any 64 bits
function random.at(seed, index)
    return mix(mix(seed) + index * GOLDEN)
end

---@param seed integer
---@param index integer
---@return number from 0 up to, not including, 1
function random.unit(seed, index)
    return (random.at(seed, index) >> 11) * UNIT
end

---@class sandbox.Random
local Random = {}
Random.__index = Random

---@param seed integer
---@return sandbox.Random
function random.new(seed)
    return setmetatable({_seed = seed, _index = 0}, Random)
end

---@param low integer
---@param high integer
---@return integer from low to high, both included
function Random:integer(low, high)
    self._index = self._index + 1
    return low + (random.at(self._seed, self._index) >> 1) % (high - low + 1)
end

---@param probability number
---@return boolean
function Random:chance(probability)
    self._index = self._index + 1
    return random.unit(self._seed, self._index) < probability
end

---@generic T
---@param list T[]
---@return T
function Random:pick(list)
    return list[self:integer(1, #list)]
end

return random
