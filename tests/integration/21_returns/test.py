"""Goods that come back and money that is credited: told once, whoever says it first, never beyond what was
invoiced; an echo of our own message changes nothing; kill -9 in between."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import neap  # noqa: E402

shop = neap.Shop(variables={"DESPATCH_MS": "300"})


def in_khaos(order, **action):
    return shop.control("khaos", "POST", "orders", {"reference": f"SC{order['order_id']}", **action})


def items(order):
    return shop.document(order)["items"]


def count(order, status):
    return sum(1 for item in items(order) if item["status"] == status)


def sent(seed, least=2):
    """An order of at least so many units of one stock code that has left."""
    for number in range(seed, seed + 100):
        order = shop.place("multi_unit", number)
        shop.until_right(order)
        skus = [item["variant"]["referenceKey"] for item in items(order)]
        sku = max(skus, key=skus.count)
        if skus.count(sku) >= least:
            in_khaos(order, action="ship")
            neap.until(lambda: count(order, "shipped") == len(skus), "all of it is shipped in SCAYLE")
            return order, sku
    raise AssertionError("no such order")


def returns(order):
    return shop.entry(order)["returns"]


def causes(order, cause):
    return [e for e in shop.host.exceptions(cause) if e["subject"] == str(order["order_id"])]


def idle():
    jobs = shop.host.status()["jobs"]
    return jobs["ready"] == 0 and jobs["running"] == 0 and jobs["waiting"] == 0


def from_khaos():
    order, sku = sent(1)
    in_khaos(order, action="credit", items=[{"stock_code": sku, "quantity": 1}])
    neap.until(lambda: count(order, "returned") == 1, "SCAYLE shows one unit as returned")
    neap.until(idle, "the echo is taken")
    told = [entry["returnKey"] for body in returns(order) for entry in body["body"]]
    assert len(told) == 1 and causes(order, "return_not_in_khaos") == [], (told, shop.host.exceptions())
    in_khaos(order, action="credit", items=[{"stock_code": sku, "quantity": 1}])
    neap.until(lambda: count(order, "returned") == 2, "the second credit note takes another unit back")


def from_scayle():
    order, sku = sent(20)
    shop.control("scayle", "POST", "return", {"order_id": order["order_id"], "count": 1})
    neap.until(lambda: causes(order, "return_not_in_khaos"), "a person is asked to book it in Khaos")
    back = next(item for item in items(order) if item["status"] == "returned")["variant"]["referenceKey"]
    exception = causes(order, "return_not_in_khaos")[0]
    assert f"1 x {back}" in exception["remedy"] and shop.posted(order)["code"] in exception["remedy"], exception
    in_khaos(order, action="credit", items=[{"stock_code": back, "quantity": 1}])
    neap.until(lambda: not causes(order, "return_not_in_khaos"), "the credit note closes it")
    neap.until(idle, "nothing is left to do")
    assert returns(order) == [] and count(order, "returned") == 1, "SCAYLE was told what it had told us"


def with_delivery():
    order, sku = sent(40)
    quantity = sum(1 for item in items(order) if item["variant"]["referenceKey"] == sku)
    in_khaos(order, action="credit", items=[{"stock_code": sku, "quantity": quantity}], delivery=True)
    neap.until(lambda: count(order, "returned") == quantity, "they are back")
    in_khaos(order, action="credit", amount_minor=1)
    neap.until(idle, "goodwill is taken")
    assert not shop.host.exceptions("credit_exceeds_invoice"), shop.host.exceptions("credit_exceeds_invoice")


def too_much():
    order, sku = sent(60)
    total = shop.posted(order)["totals"]["gross"]
    in_khaos(order, action="credit", amount_minor=total + 1)
    neap.until(lambda: shop.host.exceptions("credit_exceeds_invoice"), "finance is told")
    other, sku = sent(70)
    in_khaos(other, action="credit", items=[{"stock_code": sku, "quantity": 99}])
    neap.until(lambda: shop.host.exceptions("return_unmatched"), "more than was sent is shown to a person")
    assert count(order, "returned") == count(other, "returned") == 0


def lost_and_killed():
    shop.faults("scayle", {"operation": "return_items", "probability": 0.5, "fault": "reset_after", "times": 1000},
                {"operation": "return_items", "probability": 0.2, "fault": "500", "times": 1000})
    orders = [sent(80 + 10 * n) for n in range(4)]
    for order, sku in orders:
        in_khaos(order, action="credit", items=[{"stock_code": sku, "quantity": 1}])
        neap.time.sleep(0.4)
        shop.host.kill()
        shop.host.start()
    for order, _ in orders:
        neap.until(lambda order=order: count(order, "returned") == 1, "one unit is back")
    neap.until(idle, "nothing is left to do")
    shop.faults("scayle")
    for order, _ in orders:
        told = [entry["returnKey"] for body in returns(order) for entry in body["body"]]
        assert len(told) == len(set(told)) == 1, told


shop.scayle.variables["SANDBOX_WEBHOOK_PATH"] = "/scayle/webhook"
shop.start()
try:
    neap.case("a credit note of Khaos is told to SCAYLE once, and its echo changes nothing", from_khaos)
    neap.case("a return that only SCAYLE knows is for a person, and the credit note proves it", from_scayle)
    neap.case("delivery and goodwill are credited too", with_delivery)
    neap.case("never more is credited than invoiced, nothing comes back that was not sent", too_much)
    neap.case("lost answers and kill -9 tell no unit twice", lost_and_killed)
finally:
    shop.stop()
neap.done()
