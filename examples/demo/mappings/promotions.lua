-- What each mechanic of the shop becomes in Khaos; the first rule that matches counts. What no rule
-- declares holds the order.
return {
    {match = {category = "sale"}, becomes = "price", note = "the sale price is the price"},
    {match = {category = "campaign"}, becomes = "percent"},
    {match = {category = "voucher", type = "relative"}, becomes = "percent"},
    {match = {category = "voucher", type = "absolute"}, becomes = "price"},
    {match = {id = "6630fa11c2d04e7b9a5501d2"}, becomes = "free_line", free_reason = "Promotion",
        note = "BOGOF bottles: the free bottle is its own line"},
    {match = {id = "6630fb77c2d04e7b9a550210"}, becomes = "price",
        note = "2 for 1 caps: both caps are reduced"},
    {match = {category = "promotionCode", code = "SPRING26"}, becomes = "keycode+percent",
        note = "spring tiers"},
    {match = {id = "6640aa02c2d04e7b9a5506f1"}, becomes = "price",
        note = "jacket and bottle for 139.00: on the wire an absolute promotion"},
    {match = {id = "6650c100c2d04e7b9a550901"}, becomes = "percent",
        note = "bank holiday: a percentage off chosen products"},
    {match = {id = "6650c100c2d04e7b9a550911"}, becomes = "price",
        note = "5.00 off bottles: an amount, so the price is lowered"},
    {match = {category = "free_shipping"}, becomes = "delivery"},
}
