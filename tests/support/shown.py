"""What a staging rule shows of a posting (`neap order`, trail.data.staged.posting) against what Khaos has."""


def check(posted, view):
    """Line by line and field by field. posted: the order in Khaos's ledger."""
    assert posted and posted["copies"] == 1, posted
    lines = [line for line in posted["lines"] if not line.get("is_pack_child")]
    assert len(lines) == len(view["lines"]), (lines, view["lines"])
    for line, seen in zip(lines, view["lines"]):
        price = seen.get("price_net") or seen["price_gross"]
        assert (line["stock_code"], line["quantity"], line["price"], line.get("pack"), line.get("discount_percent")) \
            == (seen["stock_code"], str(seen["quantity"]), price, seen.get("pack_link"), seen.get("discount_percent"))
    assert posted["header"].get("INVOICE_NOTE") == view["header"].get("invoice_note"), posted["header"]
    assert posted["total"] == view["total"]
