-- What each mechanic of the shop becomes in Khaos; the first rule that matches counts. What no rule
-- declares holds the order.
return {
    {match = {category = "sale"}, becomes = "price", note = "the sale price is the price"},
    {match = {category = "campaign"}, becomes = "percent"},
    {match = {category = "voucher", type = "relative"}, becomes = "percent"},
    {match = {category = "voucher", type = "absolute"}, becomes = "price"},
    {match = {category = "free_shipping"}, becomes = "delivery"},
}
