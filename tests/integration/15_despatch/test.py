"""What Khaos sends goes to SCAYLE: parcel by parcel, once, with carrier and tracking number."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import neap  # noqa: E402

shop = neap.Shop(variables={"DESPATCH_MS": "300"})


def in_khaos(order, **action):
    return shop.control("khaos", "POST", "orders", {"reference": f"SC{order['order_id']}", **action})


def posted(kind, seed=1):
    order = shop.place(kind, seed)
    shop.until_right(order)
    return order


def shipments(order):
    return [entry["body"] for entry in shop.entry(order)["shipments"]]


def states(order):
    return sorted(item["status"] for item in shop.document(order)["items"])


def units(order):
    return sorted(item["id"] for item in shop.document(order)["items"])


def told(order):
    return sorted(item["orderItemId"] for body in shipments(order) for item in body["items"])


def until_told(order, parcels):
    neap.until(lambda: len(shipments(order)) >= parcels, f"{parcels} parcels of {order['order_id']} are told")


def lines(order):
    return [(line["stock_code"], int(float(line["quantity"]))) for line in shop.posted(order)["lines"]
            if line["import_ref"].startswith("SC-")]


def several(count):
    """An order of at least so many units."""
    for seed in range(1, 200):
        order = posted("multi_unit", seed)
        if len(units(order)) >= count:
            return order
    raise AssertionError("no such order")


def whole():
    order = posted("plain")
    in_khaos(order, action="ship", consignment="TRACK-1")
    until_told(order, 1)
    body = shipments(order)[0]
    assert body["shipmentKey"] == "TRACK-1" and body["carrier"] == "DPD_UK", body
    assert body["returnIdentCode"] == "TRACK-1", body
    assert all(item["returnKey"] == str(item["orderItemId"]) for item in body["items"]), body
    assert told(order) == units(order) and set(states(order)) == {"shipped"}, states(order)


def parts():
    order = several(3)
    code, quantity = max(lines(order), key=lambda line: line[1])
    first = [{"stock_code": code, "quantity": 1}]
    in_khaos(order, action="ship", items=first)
    until_told(order, 1)
    assert len(shipments(order)[0]["items"]) == 1
    in_khaos(order, action="ship")
    until_told(order, 2)
    assert told(order) == units(order), (told(order), units(order), quantity)


def boxes():
    order = several(2)
    packed = [{"items": [{"stock_code": code, "quantity": quantity}]} for code, quantity in lines(order)]
    last = packed[-1]["items"][0]
    if len(packed) == 1:
        last["quantity"] -= 1
        packed.append({"items": [{"stock_code": last["stock_code"], "quantity": 1}]})
    in_khaos(order, action="ship", boxes=packed)
    until_told(order, len(packed))
    assert len({body["shipmentKey"] for body in shipments(order)}) == len(packed)
    assert told(order) == units(order)


def late_tracking():
    order = posted("plain", 2)
    in_khaos(order, action="ship", consignment="")
    neap.until(lambda: shop.host.order(order["order_id"]), "the order is known")
    in_khaos(order, action="track", consignment="TRACK-LATE")
    until_told(order, 1)
    assert shipments(order)[0]["shipmentKey"] == "TRACK-LATE", shipments(order)


def no_tracking():
    order = posted("plain", 3)
    in_khaos(order, action="ship", consignment="")
    until_told(order, 1)
    assert shipments(order)[0]["shipmentKey"].startswith("INV"), shipments(order)


def lost_answer():
    shop.faults("scayle", {"operation": "ship", "nth": 1, "fault": "reset_after"})
    order = posted("plain", 4)
    in_khaos(order, action="ship")
    until_told(order, 1)
    neap.until(lambda: shop.host.status()["jobs"]["waiting"] == 0, "nothing waits")
    shop.faults("scayle")
    assert told(order) == units(order), "a unit was told twice"


def in_doubt_and_newer():
    """While nobody knows whether a parcel was told, Khaos tells more of the order."""
    order = several(3)
    code, _ = lines(order)[0]
    shop.faults("scayle", {"operation": "ship", "fault": "reset_after", "nth": 1},
                {"operation": "get_order", "fault": "500"})
    in_khaos(order, action="ship", items=[{"stock_code": code, "quantity": 1}])
    until_told(order, 1)
    key = f"despatch:order:fo:{order['order_id']}"
    known = len(shop.host.order(key)["jobs"])
    in_khaos(order, action="ship")
    neap.until(lambda: len(shop.host.order(key)["jobs"]) > known, "the newer news is there")
    shop.faults("scayle")
    until_told(order, 2)
    assert not shop.host.exceptions("unfinished_effect"), shop.host.exceptions("unfinished_effect")
    assert told(order) == units(order), (told(order), units(order))


def killed():
    shop.faults("scayle", {"operation": "ship", "fault": "delay", "ms": 300})
    orders = [posted("plain", 10 + i) for i in range(4)]
    for order in orders:
        in_khaos(order, action="ship")
        shop.host.kill()
        shop.host.start()
    for order in orders:
        until_told(order, 1)
    shop.faults("scayle")
    neap.until(lambda: shop.host.status()["jobs"]["ready"] == 0, "nothing is left to do")
    for order in orders:
        assert told(order) == units(order), (order, shipments(order))


def cancelled():
    order = several(2)
    code, _ = lines(order)[0]
    in_khaos(order, action="ship", items=[{"stock_code": code, "quantity": 1}])
    until_told(order, 1)
    in_khaos(order, action="cancel", reason="Damaged in the warehouse")
    neap.until(lambda: "cancelled" in states(order), "SCAYLE shows the rest as cancelled")
    assert states(order).count("shipped") == 1 and set(states(order)) == {"cancelled", "shipped"}
    assert len(shop.entry(order)["cancellations"]) == 1


def strange_parcel():
    order = several(2)
    in_khaos(order, action="ship", items=[{"stock_code": "FO-BTL-0001", "quantity": 1}])
    neap.until(lambda: shop.host.exceptions("despatch_unmatched"), "a person is told")
    exception = shop.host.exceptions("despatch_unmatched")[0]
    assert "1 x FO-BTL-0001" in exception["message"], exception
    assert shipments(order) == []


def edited():
    order = posted("plain", 5)
    reference = f"SC{order['order_id']}"
    line = shop.posted(order)["lines"][0]
    in_khaos(order, action="edit", stock_code=line["stock_code"], price="1.00")
    neap.until(lambda: shop.host.exceptions("posted_total_differs"), "a person is told")
    assert shop.host.exceptions("posted_total_differs")[0]["subject"] == reference
    in_khaos(order, action="edit", stock_code=line["stock_code"], price=line["price"])
    neap.until(lambda: not shop.host.exceptions("posted_total_differs"), "it closes when the price is right")


def entered_again():
    order = posted("plain", 6)
    second = in_khaos(order, action="enter_again")["code"]
    neap.until(lambda: shop.host.exceptions("duplicate_in_khaos"), "a person is told")
    in_khaos(order, action="ship")
    until_told(order, 1)
    shop.control("khaos", "POST", "orders", {"code": second, "action": "ship"})
    neap.until(lambda: "have left" in shop.host.exceptions("duplicate_in_khaos")[0]["message"], "and again")
    assert len(shipments(order)) == 1, shipments(order)
    shop.control("khaos", "POST", "orders", {"code": second, "action": "cancel"})
    neap.until(lambda: not shop.host.exceptions("duplicate_in_khaos"), "it closes when it is cancelled")


def force_closed():
    order = posted("plain", 7)
    shop.control("scayle", "POST", "settings", {"force_close_ms": 1})
    neap.until(lambda: set(states(order)) == {"shipped"}, "SCAYLE counts it as sent")
    shop.control("scayle", "POST", "settings", {"force_close_ms": None})
    in_khaos(order, action="ship", consignment="TRACK-LATE")
    neap.until(lambda: shop.host.exceptions("parcel_unheard"), "a person is told")
    exception = shop.host.exceptions("parcel_unheard")[0]
    assert str(order["order_id"]) in exception["message"] and "TRACK-LATE" in exception["message"], exception
    assert shipments(order) == [] and not shop.document(order).get("packages"), shop.document(order)


shop.start()
try:
    neap.case("an order sent as a whole is told once, with tracking and return keys", whole)
    neap.case("part shipments are told as they leave", parts)
    neap.case("each box is a parcel of its own", boxes)
    neap.case("a tracking number that comes later is waited for", late_tracking)
    neap.case("without one the parcel is told by its invoice", no_tracking)
    neap.case("a lost answer is looked up, not repeated", lost_answer)
    neap.case("a parcel in doubt is settled although Khaos tells more meanwhile", in_doubt_and_newer)
    neap.case("kill -9 loses and doubles no parcel", killed)
    neap.case("what Khaos cancels is cancelled in SCAYLE, what had left is not", cancelled)
    neap.case("a parcel that fits no order line is shown to a person", strange_parcel)
    neap.case("a price that is edited in Khaos is told, and closes when it is right again", edited)
    neap.case("a second order in Khaos under our reference is told, and nothing of it goes to SCAYLE", entered_again)
    neap.case("a parcel that SCAYLE counted as sent by itself is shown to a person", force_closed)
finally:
    shop.stop()
neap.done()
