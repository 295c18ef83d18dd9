"""Khaos's stock becomes what the shop sells: less what is not yet in Khaos, less the buffer, stamped so
that no order is sold twice; coalesced, looked at when ignored, across kill -9."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import neap  # noqa: E402

shop = neap.Shop(variables={"ORDER_LAG_MS": "1500", "STOCK_POLL_MS": "500", "STOCK_SEND_MS": "300",
                            "STOCK_BULK": "1"})
SKU = "FO-STK-0001"


def in_khaos(code=SKU, **words):
    shop.control("khaos", "POST", "stock", {"code": code, **words})


def variants(*skus):
    shop.control("scayle", "POST", "variants", {"skus": list(skus)})


def figure(sku=SKU):
    found = shop.scayle.json("GET", f"/scayle/api/admin/v1/variants/key%3D{sku}/stocks",
                             headers={"X-Access-Token": "sandbox-token"})["entities"]
    return found[0]["quantity"] if found else None


def visible(sku=SKU):
    return shop.control("scayle", "GET", f"sellable?sku={sku}")["visible"]


def until_figure(quantity, sku=SKU):
    neap.until(lambda: figure(sku) == quantity, f"the shop shows {quantity} of {sku}, not {figure(sku)}")


def calls(operation):
    return [c for c in shop.control("scayle", "GET", "calls?limit=10000")["calls"] if c["operation"] == operation]


def first():
    in_khaos(level=12, buffer=3)
    variants(SKU)
    until_figure(9)


def moves():
    in_khaos(level=30)
    until_figure(27)
    in_khaos(level=2)
    until_figure(0)
    in_khaos(level=-4)
    in_khaos("FO-STK-0002", level=5, buffer=0)
    variants("FO-STK-0002")
    until_figure(5, "FO-STK-0002")
    assert figure() == 0


def kits():
    in_khaos("FO-STK-A", level=4, buffer=0)
    in_khaos("FO-STK-B", level=9, buffer=0)
    in_khaos("FO-STK-KIT", level=0, buffer=0, kit=["FO-STK-A", "FO-STK-B"])
    variants("FO-STK-A", "FO-STK-B", "FO-STK-KIT")
    until_figure(4, "FO-STK-KIT")
    in_khaos("FO-STK-A", level=2)
    until_figure(2, "FO-STK-KIT")


def shared_component():
    """Kits that share a component know of each other's orders, and so does the component."""
    order = shop.place("unknown_sku", 9)
    shop.until_held(order, "unknown_stock_code")
    items = shop.document(order)["items"]
    sold = next(i["variant"]["referenceKey"] for i in items
                if i["variant"]["referenceKey"] != order.get("missing_sku"))
    taken = sum(i["variant"]["referenceKey"] == sold for i in items)
    in_khaos("FO-STK-C", level=taken + 2, buffer=0)
    in_khaos(sold, level=0, buffer=0, kit=["FO-STK-C"])
    in_khaos("FO-STK-KIT2", level=0, buffer=0, kit=["FO-STK-C"])
    variants(sold, "FO-STK-C", "FO-STK-KIT2")
    for code in (sold, "FO-STK-C", "FO-STK-KIT2"):
        until_figure(2, code)


def nested():
    """A variant that Khaos exports under its parent only is sold, less the buffer of its own."""
    shop.control("khaos", "POST", "settings", {"nested_variants": True})
    in_khaos("FO-STK-TEE", buffer=4)
    in_khaos("FO-STK-TEE-M", parent="FO-STK-TEE", level=7, buffer=2)
    variants("FO-STK-TEE", "FO-STK-TEE-M")
    until_figure(5, "FO-STK-TEE-M")


def uncontrolled():
    in_khaos("FO-STK-SRV", level=0, controlled=False)
    variants("FO-STK-SRV")
    until_figure(999, "FO-STK-SRV")


def sold_again():
    """The shop lowers its figure by each order until a later one comes, be it the same: here Khaos has no level."""
    order = shop.place("configurable", 1)
    shop.until_right(order)
    until_figure(999, "FO-EMB-NAME")
    neap.until(lambda: visible("FO-EMB-NAME") == 999, "what was sold without a level can be sold again")


def quiet():
    """What did not change is not sent: a poll reads the overlap again and again."""
    time.sleep(1)
    before = len(calls("set_stock"))
    time.sleep(2)
    assert len(calls("set_stock")) == before, "figures that did not change were sent"


def held_orders():
    """An order that is held takes its units although Khaos does not know it."""
    order = shop.place("unknown_sku", 7)
    shop.until_held(order, "unknown_stock_code")
    skus = [item["variant"]["referenceKey"] for item in shop.document(order)["items"]]
    known = next(s for s in skus if s != order.get("missing_sku"))
    taken = skus.count(known)
    in_khaos(known, level=50, buffer=0)
    variants(known)
    until_figure(50 - taken, known)
    assert visible(known) <= 50 - taken


def ignored():
    """Somebody else wrote a later figure: ours is ignored, noticed and sent again."""
    shop.scayle.json("POST", f"/scayle/api/admin/v1/variants/key%3D{SKU}/stocks", {
        "quantity": 77, "warehouseReferenceKey": "KC-MAIN",
        "changedAt": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 4))},
        headers={"X-Access-Token": "sandbox-token"})
    in_khaos(level=20)
    until_figure(17)


def faults():
    shop.faults("scayle", {"operation": "set_stock", "probability": 0.3, "fault": "500", "times": 1000},
                {"operation": "set_stock", "probability": 0.2, "fault": "reset_after", "times": 1000})
    for level in (40, 41, 42, 43):
        in_khaos(level=level)
        in_khaos("FO-STK-0002", level=level)
        time.sleep(0.2)
    until_figure(40)
    until_figure(43, "FO-STK-0002")
    shop.faults("scayle")


def explained():
    in_khaos(level=12, buffer=3)
    until_figure(9)
    code, text = shop.host.verb("stock", SKU)
    assert code == 0 and "12 available - 3 buffer in Khaos = 9" in text and "in force" in text, text
    terms = [line.split() for line in text.splitlines() if "Khaos" in line and "ago" in line]
    assert terms[0][:5] == ["12", "available", "Khaos,", "site", "1"], text
    assert terms[1][:7] == ["-3", "buffer", "in", "Khaos", "item", "in", "Khaos"], text
    figures = shop.host.ask("stock", SKU)
    now_ms = time.time() * 1000
    told = [(term["quantity"], term["source"]) for term in figures[0]["sent"]["terms"]]
    assert told == [(12, "Khaos, site 1"), (-3, "item in Khaos")], figures
    assert all(0 <= now_ms - term["at_ms"] < 60000 for term in figures[0]["sent"]["terms"]), figures
    assert figures[0]["sent"]["quantity"] == 9 and figures[0]["khaos"]["buffer"] == 3, figures
    assert shop.host.verb("stock", "NO-SUCH")[0] == 3
    assert "figures wait" in shop.host.verb("stock")[1]


def killed():
    for level in range(50, 60):
        in_khaos(level=level)
        time.sleep(0.15)
        shop.host.kill()
        shop.host.start()
    until_figure(56)


MANY = [f"FO-BLK-{number:04d}" for number in range(60)]


def many():
    """Many figures at once go by bulk requests, whatever gets lost or killed on the way."""
    variants(*MANY)
    shop.faults("scayle", {"operation": "create_bulk", "nth": 2, "fault": "reset_after"},
                {"operation": "create_bulk", "nth": 4, "fault": "500"},
                {"operation": "get_bulk", "nth": 2, "fault": "truncate"},
                {"operation": "bulk_operation", "path": "BLK-0007", "fault": "500", "times": 1})
    for level in (5, 8):
        before = len(calls("create_bulk"))
        assert shop.host.verb("pause", "flow", "stock", "--reason", "stock-taking", "--who", "eve")[0] == 0
        for code in MANY:
            in_khaos(code, level=level, buffer=0)
        assert shop.host.verb("resume", "flow", "stock", "--who", "eve")[0] == 0
        neap.until(lambda before=before: len(calls("create_bulk")) > before, "a bulk request is handed over")
        shop.host.kill()
        shop.host.start()
        for code in MANY:
            until_figure(level, code)
    shop.faults("scayle")
    neap.until(lambda: shop.host.ask("stock")[0]["bulk"].get("is_over"), "the bulk request is over")


shop.start()
try:
    neap.case("the first reading gives the shop its figure, less the buffer kept in Khaos", first)
    neap.case("movements follow, and never below zero", moves)
    neap.case("a kit is what its components make", kits)
    neap.case("a variant nested under its parent is sold", nested)
    neap.case("what Khaos does not control is always there", uncontrolled)
    neap.case("what was sold of it is there again", sold_again)
    neap.case("what did not change is not sent again", quiet)
    neap.case("held orders take their units", held_orders)
    neap.case("kits that share a component know of each other's orders", shared_component)
    neap.case("an ignored figure is noticed and sent again", ignored)
    neap.case("neap stock explains the figure", explained)
    neap.case("errors and lost answers end with the right figures", faults)
    neap.case("kill -9 leaves no figure behind", killed)
    neap.case("many figures go by bulk requests, across faults and kill -9", many)
finally:
    shop.stop()
neap.done()
