"""SCAYLE's blocking cancellation call gets the truth: before the order is known, before it is posted,
after, with Khaos's add-on and without it, too late, repeated, across kill -9."""

import json
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import neap  # noqa: E402

shop = neap.Shop(variables={"DESPATCH_MS": "300", "CANCEL_LOOK_MS": "4000", "TWO_WAREHOUSES": "1"})


def ask(reference, timeout_s=20, warehouses=(31, 32)):
    """The call as SCAYLE makes it; returns (status, cancellationResult or None)."""
    status, body, _ = shop.host.post("/demo/scayle/cancellation", {
        "orderReferenceKey": reference, "fulfillingMerchantKey": "fellside", "merchantKey": "fellside",
        "companyId": 1001, "warehouseIds": list(warehouses)}, auth=shop.AUTH, timeout_s=timeout_s)
    return status, json.loads(body).get("cancellationResult")


def reference(order):
    return shop.entry(order)["order_reference_key"]


def posted(seed):
    order = shop.place("plain", seed)
    shop.until_right(order)
    return order


def in_khaos(order, **action):
    return shop.control("khaos", "POST", "orders", {"reference": f"SC{order['order_id']}", **action})


def states(order):
    return {item["status"] for item in shop.document(order)["items"]}


def malformed():
    for body in (b"{", b"[]", b"{}", b'{"orderReferenceKey": ""}', b"\xff\xfe"):
        assert shop.host.post("/demo/scayle/cancellation", body, auth=shop.AUTH)[0] == 400, body
    assert shop.host.post("/demo/scayle/cancellation", b"{}")[0] == 401


def before_the_order():
    """The cancellation overtakes the delegation: the order must never be posted."""
    shop.control("scayle", "POST", "settings", {"delegation_lag_ms": 3000})
    try:
        order = shop.place("plain", 40)
        assert ask(reference(order)) == (201, "successful")
        assert ask(reference(order)) == (201, "successful"), "a repeat is answered like the first"
    finally:
        shop.control("scayle", "POST", "settings", {"delegation_lag_ms": None})
    neap.until(lambda: shop.host.order(order["order_id"]) and not shop.causes(order)
               and shop.job(order)["state"] == "done", "the delegation came and ended")
    assert shop.posted(order) is None, "posted although it was cancelled"


def while_held():
    order = shop.place("unknown_sku", 41)
    shop.until_held(order, "unknown_stock_code")
    assert ask(reference(order)) == (201, "successful")
    neap.until(lambda: shop.job(order)["state"] == "done", "the held order ends")
    assert shop.posted(order) is None


def in_an_outage():
    """The order cannot come to rest, and SCAYLE does not ask again: nobody would send it, so SCAYLE is told."""
    shop.faults("scayle", {"operation": "get_order", "fault": "503", "times": 100000})
    order = shop.place("plain", 45)
    neap.until(lambda: shop.host.order(order["order_id"]), "the order is known")
    status, result = ask(reference(order))
    assert (status, result) == (503, None), (status, result)
    shop.faults("scayle")
    neap.until(lambda: shop.job(order)["state"] == "done", "the order ends")
    assert shop.posted(order) is None, "posted although it was cancelled"
    neap.until(lambda: states(order) == {"cancelled"}, "SCAYLE shows the order as cancelled")
    assert ask(reference(order)) == (201, "successful"), "a late repeat gets the truth"


def while_posting():
    """Khaos is slow: whatever the answer is, it is what happens."""
    shop.faults("khaos", {"operation": "ImportOrders", "fault": "delay", "ms": 1200, "times": 100})
    for seed in range(50, 54):
        order = shop.place("plain", seed)
        neap.until(lambda order=order: shop.host.order(order["order_id"]), "the order is known")
        status, result = ask(reference(order))
        assert status == 201, status
        neap.until(lambda order=order: shop.job(order)["state"] == "done", "the order came to rest")
        assert (shop.posted(order) is None) == (result == "successful"), (result, shop.posted(order))
    shop.faults("khaos")


def by_a_person():
    order = posted(60)
    assert ask(reference(order)) == (201, "failed")
    exception = [e for e in shop.host.exceptions("cancel_in_khaos") if e["subject"] == str(order["order_id"])]
    assert exception and shop.posted(order)["code"] in exception[0]["remedy"], exception
    shown = shop.host.order(order["order_id"])
    own = f"cancellation:{reference(order)}"
    assert own in [r["key"] for r in shown["related"]], shown["related"]
    assert [line for line in shown["timeline"] if line.get("key") == own and line["kind"] == "cancellation"], shown
    in_khaos(order, action="cancel", reason="Shopper")
    neap.until(lambda: states(order) == {"cancelled"}, "SCAYLE is told")
    neap.until(lambda: str(order["order_id"]) not in
               [e["subject"] for e in shop.host.exceptions("cancel_in_khaos")], "closed by proof")
    assert ask(reference(order)) == (201, "successful"), "it is cancelled by now"


def too_late():
    order = posted(61)
    in_khaos(order, action="ship")
    neap.until(lambda: states(order) == {"shipped"}, "SCAYLE shows it as shipped")
    assert ask(reference(order)) == (201, "failed")
    assert str(order["order_id"]) in [e["subject"] for e in shop.host.exceptions("cancel_too_late")]


def sent_instead():
    order = posted(62)
    assert ask(reference(order)) == (201, "failed")
    in_khaos(order, action="ship")
    neap.until(lambda: str(order["order_id"]) in
               [e["subject"] for e in shop.host.exceptions("cancel_too_late")], "a person is told that it left")


def undecided():
    """Khaos is down in the middle of a posting: nothing may be promised."""
    shop.faults("khaos", {"operation": "ImportOrders", "fault": "reset_after", "nth": 1},
                {"operation": "ExportOrderStatusEx", "fault": "503", "times": 100000})
    order = shop.place("plain", 63)
    neap.until(lambda: shop.ledger("khaos", reference=f"SC{order['order_id']}")["orders"], "Khaos has it")
    assert ask(reference(order))[0] == 503
    shop.faults("khaos")
    shop.until_right(order)
    assert ask(reference(order)) == (201, "failed")


def killed():
    """Killed while SCAYLE waits: the repeat decides, and both sides agree."""
    shop.faults("khaos", {"operation": "ImportOrders", "fault": "delay", "ms": 400, "times": 1000})
    for seed in range(70, 76):
        order = shop.place("plain", seed)
        neap.until(lambda order=order: shop.host.order(order["order_id"]), "the order is known")
        call = threading.Thread(target=lambda order=order: quiet(reference(order)))
        call.start()
        shop.host.kill()
        call.join()
        shop.host.start()
        answer = neap.until(lambda order=order: settled(order), "the repeat is decided")
        neap.until(lambda order=order: shop.job(order)["state"] == "done", "the order came to rest")
        assert (shop.posted(order) is None) == (answer == "successful"), (answer, shop.posted(order))
    shop.faults("khaos")


def quiet(name, warehouses=(31, 32)):
    try:
        ask(name, warehouses=warehouses)
    except OSError:
        pass


def settled(order):
    status, result = ask(reference(order))
    return result if status == 201 else None


def parts():
    """A call that names one of our two warehouses must not end what lies in the other."""
    order = shop.control("scayle", "POST", "orders", {"kind": "multi_unit", "seed": 64, "second_warehouse": 32})
    shop.until_right(order)
    number = str(order["order_id"])
    sku = shop.document(order)["items"][-1]["variant"]["referenceKey"]
    assert ask(reference(order), warehouses=[32]) == (201, "failed")
    assert ask(reference(order), warehouses=[32]) == (201, "failed"), "a repeat is answered like the first"
    listed = [e for e in shop.host.exceptions("cancel_part") if e["subject"].startswith(number)]
    assert len(listed) == 1 and f"1 x {sku}" in listed[0]["message"], listed
    assert shop.posted(order)["code"] in listed[0]["remedy"] and not shop.posted(order).get("cancelled")
    assert ask(reference(order), warehouses=[77]) == (201, "failed"), "nothing of it lies there"
    # SCAYLE's agent takes the unit off: what is left is all in the other warehouse, and so the whole.
    shop.control("scayle", "POST", "cancel_items", {"order_id": order["order_id"],
                                                    "items": [shop.document(order)["items"][-1]["id"]]})
    assert ask(reference(order), warehouses=[32]) == (201, "failed"), "decided before"
    assert ask(reference(order), warehouses=[31]) == (201, "failed")
    assert [e for e in shop.host.exceptions("cancel_in_khaos") if e["subject"] == number], "the whole is a person's"


def parts_before_posting():
    """Not on its way yet: it is posted without the units, though SCAYLE may still show them."""
    shop.faults("khaos", {"operation": "ExportCompany", "fault": "503", "times": 100000})
    order = shop.control("scayle", "POST", "orders", {"kind": "multi_unit", "seed": 65, "second_warehouse": 32})
    neap.until(lambda: shop.host.order(order["order_id"]), "the order is known")
    assert ask(reference(order), warehouses=[32]) == (201, "successful")
    assert ask(reference(order), warehouses=[32]) == (201, "successful"), "a repeat is answered like the first"
    shop.faults("khaos")
    neap.until(lambda: shop.posted(order), "it is posted")
    assert shop.host.order(order["order_id"])["jobs"][0]["state"] != "held"
    left = [i for i in shop.document(order)["items"] if i["warehouseId"] != 32]
    assert len(left) + 1 == len(shop.document(order)["items"])
    assert sum(quantities(order).values()) == len(left), (quantities(order), left)
    assert ask("nobody-knows-it", warehouses=[31]) == (201, "failed")
    assert [e for e in shop.host.exceptions("cancellation_unknown") if e["subject"] == "nobody-knows-it"]


def with_the_add_on():
    shop.host.stop()
    shop.host.variables["CANCEL_ADD_ON"] = "1"
    shop.host.start()
    shop.control("khaos", "POST", "settings", {"paid_add_ons": True})
    shop.faults("khaos", {"operation": "CancelOrder", "fault": "reset_after", "nth": 2})
    orders = [posted(seed) for seed in range(80, 92)]
    reserved = [o for o in orders if shop.document(o)["payment"][0]["key"] == "adyen_creditcard"]
    paid = [o for o in orders if shop.document(o)["payment"][0]["key"] == "paypal"]
    assert len(reserved) >= 3 and paid, "the seeds give too few of each"
    for order in reserved[:2]:
        answer = neap.until(lambda order=order: settled(order), "it is decided")
        assert answer == "successful" and shop.posted(order)["cancelled"], (answer, words(order))
    shop.faults("khaos")
    in_khaos(reserved[2], action="stage", stage=12)
    assert ask(reference(reserved[2])) == (201, "failed")
    assert "not editable" in words(reserved[2])
    assert ask(reference(paid[0])) == (201, "failed")
    assert "already been processed" in words(paid[0])


def with_the_add_on_but_sent():
    """Whether Khaos cancelled is open when a part is sent and a person cancels the rest: that is no cancellation."""
    shop.faults("khaos", {"operation": "CancelOrder", "fault": "reset_before", "times": 100000})
    order = shop.place("multi_unit", 100)
    shop.until_right(order)
    assert ask(reference(order))[0] == 503
    line = shop.posted(order)["lines"][0]
    in_khaos(order, action="ship", items=[{"stock_code": line["stock_code"], "quantity": 1}])
    in_khaos(order, action="cancel", reason="The rest is lost")
    shop.faults("khaos")
    assert neap.until(lambda: settled(order), "it is decided") == "failed"
    neap.until(lambda: states(order) == {"shipped", "cancelled"}, "SCAYLE shows what left and what did not")
    assert [i["status"] for i in shop.document(order)["items"]].count("shipped") == 1


def several(seeds, key, least=2):
    """A posted order of at least `least` units that was paid by `key`."""
    for seed in seeds:
        order = shop.place("multi_unit", seed)
        shop.until_right(order)
        document = shop.document(order)
        if len(document["items"]) >= least and document["payment"][0]["key"] == key:
            return order
    raise AssertionError(f"no seed gives {least} units paid by {key}")


def take_off_in_scayle(order, count=1, where=0):
    """An agent cancels units in SCAYLE; their stock codes with quantities, as Khaos's lever takes them."""
    items = [i for i in shop.document(order)["items"] if i["status"] not in ("cancelled", "shipped")][where:][:count]
    shop.control("scayle", "POST", "cancel_items", {"order_id": order["order_id"], "items": [i["id"] for i in items]})
    return [{"stock_code": i["variant"]["referenceKey"], "quantity": 1} for i in items]


def listed(order, cause):
    return [e for e in shop.host.exceptions(cause) if e["subject"] == str(order["order_id"])]


def left_minor(order):
    """What the units that are left come to, with delivery and fees."""
    document = shop.document(order)
    return (sum(i["price"]["withTax"] for i in document["items"] if i["status"] != "cancelled")
            + sum(f["amount"]["withTax"] for f in document["cost"].get("appliedFees", [])))


def total_minor(order):
    return round(float(shop.posted(order)["total"]) * 100)


def quantities(order):
    found = {}
    for line in shop.posted(order)["lines"]:
        found[line["stock_code"]] = found.get(line["stock_code"], 0) + int(float(line["quantity"]))
    return found


def wanted(order):
    found = {}
    for item in shop.document(order)["items"]:
        if item["status"] != "cancelled":
            sku = item["variant"]["referenceKey"]
            found[sku] = found.get(sku, 0) + 1
    return found


def until_amended(order):
    left = wanted(order)
    neap.until(lambda: quantities(order) == left, "Khaos's order is without the unit")


def until_rest_is_sent(order):
    in_khaos(order, action="ship")
    neap.until(lambda: states(order) == {"cancelled", "shipped"}, "the rest is shipped in SCAYLE")
    neap.until(lambda: not listed(order, "amend_in_khaos"), "nothing is asked of a person any more")
    assert not shop.host.exceptions("refused_by_scayle"), shop.host.exceptions("refused_by_scayle")


def amended_by_a_person():
    """Without the add-on a person takes it off; Khaos shows it, the list closes, the rest is sent."""
    for shown_first in (True, False):
        order = several(range(300 + 20 * shown_first, 320 + 20 * shown_first), "paypal")
        gone = take_off_in_scayle(order)
        neap.until(lambda order=order: listed(order, "amend_in_khaos"), "a person is asked")
        entry = listed(order, "amend_in_khaos")[0]
        assert gone[0]["stock_code"] in entry["message"] and shop.posted(order)["code"] in entry["remedy"], entry
        in_khaos(order, action="take_off", items=gone)
        if shown_first:
            neap.until(lambda order=order: not listed(order, "amend_in_khaos"), "Khaos shows it")
        until_rest_is_sent(order)


def sent_although_cancelled():
    """Nobody took it off: SCAYLE is told what left of the rest, and a person that one left too much."""
    order = several(range(340, 360), "paypal")
    take_off_in_scayle(order)
    neap.until(lambda: listed(order, "amend_in_khaos"), "a person is asked")
    until_rest_is_sent(order)
    neap.until(lambda: listed(order, "cancel_too_late"), "a person is told")


def every_unit_cancelled():
    order = several(range(360, 380), "paypal")
    take_off_in_scayle(order, 99)
    neap.until(lambda: listed(order, "cancel_in_khaos"), "a person is asked to cancel it")
    in_khaos(order, action="cancel", reason="Shopper")
    neap.until(lambda: not listed(order, "cancel_in_khaos"), "closed by proof")


def with_amending():
    shop.host.stop()
    shop.host.variables["AMEND_ADD_ON"] = "1"
    shop.host.start()
    shop.control("khaos", "POST", "settings", {"paid_add_ons": True})


def amended():
    """A unit is cancelled in SCAYLE after the posting: Khaos's order is amended, the rest is sent."""
    order = several(range(200, 230), "adyen_creditcard", 3)
    code = shop.posted(order)["code"]
    for _ in range(2):
        take_off_in_scayle(order)
        until_amended(order)
        assert shop.posted(order)["code"] == code and total_minor(order) == left_minor(order)
    assert not listed(order, "amend_in_khaos"), listed(order, "amend_in_khaos")
    assert not shop.host.exceptions("posted_total_differs"), shop.host.exceptions("posted_total_differs")
    until_rest_is_sent(order)


def amended_by_lost_answer():
    """Khaos amends and the answer is lost, the host is killed meanwhile: it is not amended twice."""
    order = several(range(230, 260), "adyen_creditcard")
    shop.faults("khaos", {"operation": "AmendOrder", "fault": "reset_after", "nth": 1})
    take_off_in_scayle(order)
    until_amended(order)
    shop.host.kill()
    shop.host.start()
    until_rest_is_sent(order)
    shop.faults("khaos")
    assert total_minor(order) == left_minor(order) and shop.posted(order)["amended"] == 1, shop.posted(order)


def amend_refused():
    """Khaos does not amend what it has the money of: a person does, and is told what and why."""
    order = several(range(260, 290), "paypal")
    gone = take_off_in_scayle(order)
    neap.until(lambda: listed(order, "amend_in_khaos"), "a person is asked")
    assert "already been processed" in listed(order, "amend_in_khaos")[0]["message"]
    in_khaos(order, action="take_off", items=gone)
    until_rest_is_sent(order)


def part_order(seeds, key="adyen_creditcard"):
    """A posted order that was paid by `key`, with one unit in a second warehouse."""
    for seed in seeds:
        order = shop.control("scayle", "POST", "orders", {"kind": "multi_unit", "seed": seed, "second_warehouse": 32})
        shop.until_right(order)
        if shop.document(order)["payment"][0]["key"] == key:
            return order
    raise AssertionError(f"no seed gives an order paid by {key}")


def gone_unit(order):
    return shop.document(order)["items"][-1]


def amended_for_the_call():
    """SCAYLE asks for one warehouse: yes once Khaos's order is without it, and the rest is sent."""
    order = part_order(range(400, 430))
    shop.control("scayle", "POST", "cancel", {"order_id": order["order_id"], "warehouse_ids": [32]})
    neap.until(lambda: gone_unit(order)["status"] == "cancelled", "SCAYLE heard yes")
    assert quantities(order) == wanted(order) and total_minor(order) == left_minor(order), shop.posted(order)
    assert shop.entry(order)["cancellations"][-1]["status"] == 201
    assert ask(reference(order), warehouses=[32]) == (201, "successful"), "a repeat is answered like the first"
    until_rest_is_sent(order)
    assert shop.posted(order)["amended"] == 1
    assert not [e for e in shop.host.exceptions("cancel_part") if e["subject"].startswith(str(order["order_id"]))]


def amended_too_slowly_for_the_call():
    """Khaos is away when SCAYLE asks and SCAYLE does not ask again: it is told of the unit as the merchant."""
    order = part_order(range(430, 460))
    shop.faults("khaos", {"operation": "AmendOrder", "fault": "503", "times": 100000})
    assert ask(reference(order), warehouses=[32])[0] == 503
    shop.faults("khaos")
    until_amended_without(order)
    neap.until(lambda: gone_unit(order)["status"] == "cancelled", "SCAYLE is told")
    assert states(order) != {"cancelled"}, "only the part"
    assert ask(reference(order), warehouses=[32]) == (201, "successful"), "a late repeat gets the truth"


def until_amended_without(order):
    count = len(shop.document(order)["items"]) - 1
    neap.until(lambda: sum(quantities(order).values()) == count, "Khaos's order is without the unit")


def amended_for_a_killed_call():
    """Killed while SCAYLE waits: the repeat agrees with Khaos, which amended it once."""
    order = part_order(range(460, 490))
    shop.faults("khaos", {"operation": "AmendOrder", "fault": "delay", "ms": 800, "times": 1})
    call = threading.Thread(target=lambda: quiet(reference(order), warehouses=(32,)))
    call.start()
    neap.until(lambda: [e for e in shop.ledger("khaos")["orders"] if e["reference"] == f"SC{order['order_id']}"
                        and e.get("amended")], "Khaos amends")
    shop.host.kill()
    call.join()
    shop.host.start()
    answer = neap.until(lambda: ask(reference(order), warehouses=[32])[1], "the repeat is decided")
    assert answer == "successful" and shop.posted(order)["amended"] == 1, (answer, shop.posted(order))
    until_amended_without(order)
    shop.faults("khaos")


def part_refused_by_khaos():
    order = part_order(range(490, 520), "paypal")
    assert ask(reference(order), warehouses=[32]) == (201, "failed")
    told = [e for e in shop.host.exceptions("cancel_part") if e["subject"].startswith(str(order["order_id"]))]
    assert told and "already been processed" in told[0]["message"], told


def words(order):
    """What the worklist says about an order; empty when it is not on it."""
    return "".join(e["message"] for e in shop.host.exceptions("cancel_in_khaos")
                   if e["subject"] == str(order["order_id"]))


shop.start()
try:
    neap.case("what names no order is refused, and strangers too", malformed)
    neap.case("a cancellation before the order: successful, and never posted", before_the_order)
    neap.case("a held order: successful, and never posted", while_held)
    neap.case("in an outage, never asked again: SCAYLE is told", in_an_outage)
    neap.case("during the posting: the answer is what happens", while_posting)
    neap.case("posted, no add-on: refused, a person cancels in Khaos, SCAYLE follows", by_a_person)
    neap.case("sent already: refused, and a person is told", too_late)
    neap.case("refused, and sent instead of cancelled: a person is told", sent_instead)
    neap.case("a part of the order: refused, a person is told which units; the rest is untouched", parts)
    neap.case("a part of what is not posted, or not known", parts_before_posting)
    neap.case("an open outcome is no answer: SCAYLE asks again", undecided)
    neap.case("kill -9 while SCAYLE waits: the repeat agrees with Khaos", killed)
    neap.case("with the add-on Khaos cancels; its refusal is the answer", with_the_add_on)
    neap.case("with the add-on, a part sent and the rest cancelled meanwhile: refused, and SCAYLE shows both",
              with_the_add_on_but_sent)
    shop.control("scayle", "POST", "settings", {"webhook_path": "/scayle/webhook"})
    neap.case("a unit cancelled after the posting: a person takes it off, the rest is sent", amended_by_a_person)
    neap.case("nobody took it off and it left: SCAYLE is told of the rest, a person of it", sent_although_cancelled)
    neap.case("every unit cancelled after the posting: a person cancels in Khaos", every_unit_cancelled)
    with_amending()
    neap.case("with the add-on Khaos amends, one unit after the other, and the rest is sent", amended)
    neap.case("an amendment whose answer is lost, and kill -9: once", amended_by_lost_answer)
    neap.case("Khaos refuses to amend: a person is told what to take off and why", amend_refused)
    neap.case("SCAYLE asks for a part: yes once Khaos took it out, and the rest is sent", amended_for_the_call)
    neap.case("Khaos was away: SCAYLE is told of the part it did not hear of", amended_too_slowly_for_the_call)
    neap.case("kill -9 while SCAYLE waits for a part: amended once, the repeat gets the truth",
              amended_for_a_killed_call)
    neap.case("Khaos refuses the part: so is the call, and a person is told why", part_refused_by_khaos)
finally:
    shop.stop()
neap.done()
