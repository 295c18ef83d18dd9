-- Khaos tax codes by rate, one table per VAT treatment. A code, never a percentage; 1, 2 and 4 are
-- Khaos's own, codes above 4 are made by the merchant.
return {
    uk = {
        ["0.2"] = {code = 1},
        ["0"] = {code = 2, note = "books, children's clothing"},
        ["0.05"] = {code = 4},
    },
    de = {
        ["0.19"] = {code = 5},
        ["0.07"] = {code = 6, note = "books and maps"},
        ["0"] = {code = 2},
    },
    export = {
        ["0"] = {code = 2},
    },
}
