"""Goods that come back and money that is credited: told once, whoever says it first, never beyond what was
invoiced; an echo of our own message changes nothing; kill -9 in between."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import neap  # noqa: E402

shop = neap.Shop(variables={"DESPATCH_MS": "300", "TELL_GOODWILL": "1", "RETURNS_SWEEP_MS": "2000"})


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


def drafts_and_mistakes():
    """Only an issued credit note is one; what becomes of it later is for a person."""
    order, sku = sent(10)
    goods = [{"stock_code": sku, "quantity": 1}]
    draft = in_khaos(order, action="credit", items=goods, is_draft=True)["credit_note"]
    wrong = in_khaos(order, action="credit", items=goods, is_draft=True)["credit_note"]
    in_khaos(order, action="credit_note", credit_note=wrong, cancel="Entered by mistake")
    neap.time.sleep(1)
    neap.until(idle, "both are read")
    assert returns(order) == [] and count(order, "returned") == 0, "SCAYLE was told of a draft"
    in_khaos(order, action="credit_note", credit_note=draft, issue=True)
    neap.until(lambda: count(order, "returned") == 1, "it is issued: SCAYLE is told")
    neap.until(idle, "nothing is left to do")
    in_khaos(order, action="credit_note", credit_note=draft, items=goods, amount_minor=1)
    told = neap.until(lambda: [e for e in shop.host.exceptions("credit_note_changed") if e["subject"] == draft],
                      "a person is told of the correction")
    assert "over 1 x " + sku + " and 0.01 GBP now" in told[0]["message"], told
    in_khaos(order, action="credit_note", credit_note=draft, items=goods)
    neap.until(lambda: not shop.host.exceptions("credit_note_changed"), "it is as it was taken")
    in_khaos(order, action="credit_note", credit_note=draft, cancel="The wrong order")
    neap.until(lambda: shop.host.exceptions("credit_note_changed"), "a person is told that it is gone")
    in_khaos(order, action="credit", items=goods)
    neap.until(lambda: not shop.host.exceptions("credit_note_changed"), "another one takes its place")
    neap.until(idle, "nothing is left to do")
    assert count(order, "returned") == 1 and len(returns(order)) == 1, returns(order)


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


def taken_back_meanwhile():
    """The shop takes a unit back while our message cannot reach it: that one is left out, the others are told."""
    order, _ = sent(130)
    shop.faults("scayle", {"operation": "return_items", "probability": 1, "fault": "503", "times": 1000})
    lines = [{"stock_code": item["variant"]["referenceKey"], "quantity": 1} for item in items(order)]
    before = shop.calls("scayle", "return_items")
    in_khaos(order, action="credit", items=lines)
    neap.until(lambda: shop.calls("scayle", "return_items") != before, "our message is refused")
    shop.control("scayle", "POST", "return", {"order_id": order["order_id"], "count": 1})
    shop.faults("scayle")
    neap.until(lambda: count(order, "returned") == len(lines), "all of it is back")
    neap.until(idle, "nothing is left to do")
    told = [entry["returnKey"] for body in returns(order) for entry in body["body"]]
    assert len(told) == len(set(told)) == len(lines) - 1, told
    assert open_causes(order) == [] and not shop.host.exceptions("refused_by_scayle"), shop.host.exceptions()


# ---- refunds ------------------------------------------------------------------------------------


def refund(order, **what):
    shop.control("scayle", "POST", "refund", {"order_id": order["order_id"], **what})


def open_causes(order):
    return sorted(e["cause"] for e in shop.host.exceptions()
                  if str(e["subject"]).split("/")[0].split(" ")[0] == str(order["order_id"]))


def with_fee(seed):
    """A shipped order whose shopper paid for its delivery."""
    for number in range(seed, seed + 100):
        order, sku = sent(number, least=1)
        fees = shop.document(order)["cost"].get("appliedFees") or []
        if shop.posted(order)["delivery"]["gross"] > 0 and any(f["category"] == "delivery" for f in fees):
            return order, sku
    raise AssertionError("no such order")


def refunds_in_any_order():
    """Corrective invoice, provider's notice and return, each twice, some late: one list, one credit note."""
    shop.control("scayle", "POST", "settings",
                 {"refund_webhooks": True, "refund_delivery": True, "duplicate_webhooks": True})
    order, _ = with_fee(200)
    units = len(items(order))
    shop.control("scayle", "POST", "return", {"order_id": order["order_id"], "count": units})
    neap.until(lambda: open_causes(order) == ["refund_not_in_khaos", "return_not_in_khaos"],
               "goods and delivery are asked for, nothing else")
    neap.until(idle, "all messages are taken")
    assert open_causes(order) == ["refund_not_in_khaos", "return_not_in_khaos"], open_causes(order)
    lines = [{"stock_code": item["variant"]["referenceKey"], "quantity": 1} for item in items(order)]
    in_khaos(order, action="credit", items=lines, delivery=True)
    neap.until(lambda: open_causes(order) == [], "one credit note closes both")
    assert returns(order) == [], "SCAYLE was told what it had told us"


def delivery_and_goodwill():
    order, _ = with_fee(230)
    refund(order, delivery=True)
    neap.until(lambda: open_causes(order) == ["refund_not_in_khaos"], "the delivery is to be credited")
    in_khaos(order, action="credit", delivery=True)
    neap.until(lambda: open_causes(order) == [], "the credit note closes it")
    refund(order, amount_minor=250)
    neap.until(lambda: open_causes(order) == ["refund_unexplained"], "nobody guesses what 2.50 is for")
    assert "2.50 GBP is left" in causes(order, "refund_unexplained")[0]["message"]
    in_khaos(order, action="credit", amount_minor=250)
    neap.until(lambda: open_causes(order) == [], "the credit note answers it")
    neap.until(idle, "nothing is left to do")
    assert not shop.entry(order).get("billing_changes"), "SCAYLE was told of its own refunds"


def goodwill_of_khaos():
    shop.faults("scayle", {"operation": "billing_status", "probability": 0.6, "fault": "reset_after", "times": 1000},
                {"operation": "billing_status", "probability": 0.2, "fault": "500", "times": 1000})
    orders = [sent(300 + 10 * n, least=1)[0] for n in range(3)]
    for order in orders:
        in_khaos(order, action="credit", amount_minor=150)
        neap.time.sleep(0.3)
        shop.host.kill()
        shop.host.start()
    for order in orders:
        neap.until(lambda order=order: shop.entry(order).get("billing_changes"), "SCAYLE shows the goodwill")
    neap.until(idle, "nothing is left to do")
    shop.faults("scayle")
    for order in orders:
        changes = shop.entry(order)["billing_changes"]
        assert [c["code"] for c in changes] == ["billing_partially_refunded"], changes
        assert returns(order) == [] and open_causes(order) == [], shop.host.exceptions()


def every_goodwill():
    """The second one too, and one after SCAYLE's own refund of a return, each with its reason."""
    order, sku = sent(360)
    in_khaos(order, action="credit", items=[{"stock_code": sku, "quantity": 1}])
    neap.until(lambda: count(order, "returned") == 1, "SCAYLE took a unit back and refunded it")
    neap.until(idle, "nothing is left to do")
    shop.faults("scayle", {"operation": "billing_status", "nth": 2, "fault": "reset_after"})
    notes = []
    for minor in (150, 50):
        notes.append(in_khaos(order, action="credit", amount_minor=minor)["credit_note"])
        neap.until(lambda: f"({notes[-1]})" in json.dumps(shop.entry(order).get("billing_changes") or []),
                   "SCAYLE has its reason")
    neap.until(idle, "nothing is left to do")
    changes = shop.entry(order)["billing_changes"]
    assert {c["code"] for c in changes} == {"billing_partially_refunded"}, changes
    assert [c["reason"] for c in changes] == [f"Credited in the ERP ({notes[0]})"] \
        + 2 * [f"Credited in the ERP ({notes[1]})"], "an answer that was lost is told again, and only that"
    assert open_causes(order) == [], shop.host.exceptions()
    shop.control("scayle", "POST", "settings", {"billing_repeat_conflicts": True})
    in_khaos(order, action="credit", amount_minor=10)
    neap.until(lambda: open_causes(order) == ["refused_by_scayle"], "a tenant that refuses this asks a person")
    shop.control("scayle", "POST", "settings", {"billing_repeat_conflicts": None})


def without_reference():
    order, sku = sent(400, least=1)
    in_khaos(order, action="credit", items=[{"stock_code": sku, "quantity": 1}], is_free=True)

    def is_settled():
        held = shop.host.exceptions("credit_note_unmatched")
        return count(order, "returned") == 1 or held
    neap.until(is_settled, "it is matched, or a person is asked")
    for held in shop.host.exceptions("credit_note_unmatched"):
        code, text = shop.host.verb("exceptions", "release", "credit_note_unmatched", held["subject"],
                                    "--reason", f"order {order['order_id']}")
        assert code == 0, text
    neap.until(lambda: count(order, "returned") == 1, "the unit is back in SCAYLE")
    neap.until(lambda: shop.host.exceptions("credit_note_unmatched") == [], "nothing is asked any more")


def missed_by_webhooks():
    shop.control("scayle", "POST", "settings", {"webhook_path": ""})
    order, _ = sent(430, least=1)
    shop.control("scayle", "POST", "return", {"order_id": order["order_id"], "count": 1})
    neap.until(lambda: causes(order, "return_not_in_khaos"), "the sweep finds the return")
    shop.control("scayle", "POST", "settings", {"webhook_path": "/scayle/webhook"})


def undeliverable():
    order, sku = sent(460, least=1)
    shop.control("scayle", "POST", "undeliverable", {"order_id": order["order_id"], "count": 1})
    neap.until(lambda: open_causes(order) == ["parcel_undeliverable"], "a person is told")


def cancelled_by_an_agent():
    """SCAYLE cancels a unit that Khaos has: told by a webhook, or found by the sweep when there is none."""
    for number, path in ((470, "/scayle/webhook"), (471, "")):
        shop.control("scayle", "POST", "settings", {"webhook_path": path})
        order = shop.place("multi_unit", number)
        shop.until_right(order)
        unit = items(order)[0]
        shop.control("scayle", "POST", "cancel_items", {"order_id": order["order_id"], "items": [unit["id"]]})
        told = neap.until(lambda order=order: causes(order, "amend_in_khaos"), "a person is told")
        assert unit["variant"]["referenceKey"] in told[0]["message"], told
        assert shop.posted(order)["code"] in told[0]["remedy"], told
    shop.control("scayle", "POST", "settings", {"webhook_path": "/scayle/webhook"})


def cancelled_in_khaos():
    """What Khaos cancels is told by ourselves: SCAYLE's state is no news then."""
    order = shop.place("multi_unit", 472)
    shop.until_right(order)
    in_khaos(order, action="cancel", reason="Damaged")
    neap.until(lambda: count(order, "cancelled") == len(items(order)), "SCAYLE is told")
    neap.until(idle, "nothing is under way")
    assert not causes(order, "amend_in_khaos") and not causes(order, "cancel_in_khaos"), shop.host.exceptions()


def processed_return():
    """The paid add-on, its answer lost, the host killed: one credit note, one processing."""
    shop.control("khaos", "POST", "settings", {"paid_add_ons": True})
    shop.host.kill()
    shop.host.variables["RETURN_ADD_ON"] = "1"
    shop.host.start()
    shop.faults("khaos", {"operation": "ProcessReturn", "probability": 0.6, "fault": "reset_after", "times": 1000})
    for number in range(3):
        order, _ = sent(500 + 10 * number, least=1)
        shop.control("scayle", "POST", "return", {"order_id": order["order_id"], "count": 1})
        neap.until(lambda: open_causes(order) == ["return_to_process"], "a person is asked for the return's code")
        back = next(item for item in items(order) if item["status"] == "returned")["variant"]["referenceKey"]
        made = in_khaos(order, action="return", items=[{"stock_code": back, "quantity": 1}])
        code, text = shop.host.verb("exceptions", "release", "return_to_process", f"{order['order_id']}/1",
                                    "--reason", made["return_code"])
        assert code == 0, text
        neap.time.sleep(0.1 * number)
        shop.host.kill()
        shop.host.start()

        def found(order=order):
            return [c for c in shop.ledger("khaos")["credits"] if c["order_code"] == shop.posted(order)["code"]]
        neap.until(found, "Khaos has the credit note")
        neap.until(lambda: "credit note " + found()[0]["code"] in json.dumps(shop.host.ask("order",
                   str(order["order_id"]))) or open_causes(order) == [], "it is taken")
        assert len(found()) == 1 and returns(order) == [], found()
    processed = [r for r in shop.ledger("khaos")["returns"] if r["state"] == "done"]
    assert len(processed) == 3 and all(r["auth_code"].endswith("-1") for r in processed), processed
    shop.faults("khaos")


shop.scayle.variables["SANDBOX_WEBHOOK_PATH"] = "/scayle/webhook"
shop.start()
try:
    neap.case("a credit note of Khaos is told to SCAYLE once, and its echo changes nothing", from_khaos)
    neap.case("a draft or cancelled credit note is none, and a changed one is for a person", drafts_and_mistakes)
    neap.case("a return that only SCAYLE knows is for a person, and the credit note proves it", from_scayle)
    neap.case("delivery and goodwill are credited too", with_delivery)
    neap.case("never more is credited than invoiced, nothing comes back that was not sent", too_much)
    neap.case("lost answers and kill -9 tell no unit twice", lost_and_killed)
    neap.case("a unit that the shop takes back at the same moment holds up no other", taken_back_meanwhile)
    neap.case("a refund told often and in any order is credited once, with its delivery", refunds_in_any_order)
    neap.case("a refund of the delivery alone, and one that nothing explains", delivery_and_goodwill)
    neap.case("goodwill of Khaos is recorded in SCAYLE once, whatever is lost or killed", goodwill_of_khaos)
    neap.case("each goodwill of an order is recorded, also where SCAYLE refunded something", every_goodwill)
    neap.case("a credit note without our reference goes to its order, or a person says to which", without_reference)
    neap.case("the sweep finds what no webhook told", missed_by_webhooks)
    neap.case("an undeliverable parcel is for a person", undeliverable)
    neap.case("units that an agent cancels in SCAYLE are for a person", cancelled_by_an_agent)
    neap.case("those that we cancel there are not", cancelled_in_khaos)
    neap.case("Khaos processes a return once, whatever is lost or killed", processed_return)
finally:
    shop.stop()
neap.done()
