-- Khaos tax codes by rate, one table per VAT treatment: a code, never a percentage.
return {
    uk = {
        ["0.2"] = {code = 1},
        ["0"] = {code = 2, note = "books, children's clothing"},
        ["0.05"] = {code = 4},
    },
}
