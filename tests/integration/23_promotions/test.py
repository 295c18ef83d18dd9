"""Promotions as packs, stacked, spread; and staging: a posting is shown, approved by a named person, posted
exactly as shown, across kill -9 and reload between showing and approval; dismissed, SCAYLE is told."""

import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import neap  # noqa: E402
import shown as shown_posting  # noqa: E402

SEED = int(os.environ.get("SEED", "1"))
STAGING = """staging = {rules = {
                    {name = "walk sets", mechanic = {id = "6650c100c2d04e7b9a550921"}},
                    {name = "bundles", mechanic = {category = "bundle"}, approval = "rule"},
                }},
                despatch_promise_hours = 48,"""

chance = random.Random(SEED)
shop = neap.Shop()
shop.edit("client.lua", "despatch_promise_hours = 48,", STAGING)
print(f"# seed {SEED}")


def subject(order, version=1):
    return str(order["order_id"]) + ("" if version == 1 else f" v{version}")


def approvals():
    return {e["subject"] for e in shop.host.exceptions("approval")}


def act(verb, order, version=1, reason="looked at it"):
    return shop.host.verb("exceptions", verb, "approval", subject(order, version), "--reason", reason)


def shown(order):
    return shop.host.order(order["order_id"])["trail"]["data"]["staged"]


def staged(seed, version=1):
    """Places an order that a person must approve; returns it once it is held."""
    order = shop.place("combo_pack", seed)
    until_shown(order, version)
    return order


def until_shown(order, version=1):
    neap.until(lambda: subject(order, version) in approvals() and shop.causes(order) == ["approval"],
               f"order {order['order_id']} is shown as {subject(order, version)}")


def never_posted(*orders):
    for order in orders:
        assert shop.posted(order) is None, f"{order['order_id']} was posted without an approval"


def is_as_shown(order, view):
    shown_posting.check(shop.posted(order), view)


def edit(name, old, new):
    """Edits a file of the client and waits until the new scripts serve."""
    before = shop.host.status()["generation"]
    shop.edit(name, old, new)
    shop.host.signal(signal.SIGHUP)
    neap.until(lambda: shop.host.status()["generation"] != before, "the new scripts serve: " + shop.host.tail(800))


def mechanics():
    """Every new kind, both systems agreeing to the penny; packs as Khaos makes them."""
    orders = {kind: shop.place(kind, 7) for kind in (
        "tiered", "buy_x_get_y_half", "buy_x_get_y_cheapest", "membership", "voucher_spread", "stacked",
        "stacked_amounts", "bundle")}
    shop.until_right(*orders.values())
    lines = shop.posted(orders["bundle"])["lines"]
    assert [line.get("is_pack_child", False) for line in lines] == [False, True, True], lines
    whole = shop.host.order(orders["stacked"]["order_id"])["trail"]["data"]["gross_to_net"]
    assert whole["undiscounted_minor"] - sum(whole["discounts"].values()) == whole["gross_minor"] \
        == whole["net_minor"] + whole["tax_minor"] == orders["stacked"]["total_minor"], whole
    assert {"sale", "campaign", "promotion", "promotionCode", "voucher"} <= set(whole["discounts"]), whole


def by_rule():
    """The bundle of `mechanics` was shown too, and needed nobody."""
    order = shop.place("bundle", 8)
    shop.until_right(order)
    assert shown(order)["rule"] == "bundles" and not approvals()
    is_as_shown(order, shown(order)["posting"])


def by_person():
    order = staged(1)
    view = shown(order)["posting"]
    never_posted(order)
    assert view["lines"][0]["kind"] == "pack" and view["lines"][0]["pack_link"] == "001.001", view
    assert "addresses" not in str(view) and "invoice_address" not in str(view)
    assert act("retry", order)[0] == 0
    until_shown(order)
    never_posted(order)
    assert shop.host.verb("exceptions", "release", "approval", subject(order))[0] != 0, "without a reason"
    assert act("release", order)[0] == 0
    shop.until_right(order)
    is_as_shown(order, view)
    said = [line["text"] for line in shop.host.order(order["order_id"])["timeline"] if line["kind"] == "stage"]
    assert any("approved by" in text and "looked at it" in text for text in said), said


def killed_while_shown():
    """kill -9 between showing and approval: still shown, not posted, then posted as shown."""
    orders = [shop.place("combo_pack", seed) for seed in range(10, 16)]
    time.sleep(chance.random() * 0.4)
    shop.host.kill()
    shop.host.start()
    for order in orders:
        until_shown(order)
    views = {order["order_id"]: shown(order)["posting"] for order in orders}
    shop.host.kill()
    shop.host.start()
    never_posted(*orders)
    for order in orders:
        assert act("release", order)[0] == 0
        if chance.random() < 0.5:
            time.sleep(chance.random() * 0.1)
            shop.host.kill()
            shop.host.start()
    shop.until_right(*orders)
    for order in orders:
        is_as_shown(order, views[order["order_id"]])


def reload_without_a_change():
    order = staged(20)
    view = shown(order)
    edit("client.lua", "staging = {", "-- changes nothing\n                staging = {")
    until_shown(order)
    assert shown(order) == view, "shown anew although nothing differs"
    assert act("release", order)[0] == 0
    shop.until_right(order)
    is_as_shown(order, view["posting"])


def reload_with_a_change():
    """New scripts would post otherwise: what is shown follows, and an approval of the old is none."""
    waiting, approved = staged(30), staged(31)
    assert shop.host.verb("pause", "connection", "khaos", "--reason", "test")[0] == 0
    assert act("release", approved)[0] == 0
    edit("mappings/companies.lua", 'invoice_note = "Web order {public_key}"', 'invoice_note = "Anew {public_key}"')
    shop.host.kill()
    shop.host.start()
    never_posted(waiting, approved)
    assert shop.host.verb("resume", "connection", "khaos", "--reason", "test")[0] == 0
    until_shown(waiting, 2)
    until_shown(approved, 2)
    assert act("release", waiting, 1)[0] != 0, "the old showing is gone"
    never_posted(waiting, approved)
    for order in (waiting, approved):
        view = shown(order)["posting"]
        assert view["header"]["invoice_note"].startswith("Anew "), view["header"]
        assert act("release", order, 2)[0] == 0
        shop.until_right(order)
        is_as_shown(order, view)


def what_left_stays():
    """The reply of the import is lost and the scripts change: the approved posting is the posted one."""
    order = staged(40)
    view = shown(order)["posting"]
    shop.faults("khaos", {"operation": "ImportOrders", "fault": "reset_after", "nth": 1},
                {"operation": "ExportOrderStatusEx", "fault": "503", "times": 100000},
                {"operation": "ExportOrders", "fault": "503", "times": 100000})
    assert act("release", order)[0] == 0
    neap.until(lambda: shop.posted(order), "Khaos has it")
    edit("mappings/companies.lua", 'invoice_note = "Anew {public_key}"', 'invoice_note = "Later {public_key}"')
    shop.host.kill()
    shop.host.start()
    shop.faults("khaos")
    shop.until_right(order)
    is_as_shown(order, view)
    assert not approvals(), approvals()


def dismissed():
    """Not approved: never posted, cancelled in SCAYLE, across kill -9; the books are told."""
    orders = [staged(seed) for seed in range(50, 54)]
    shop.faults("scayle", {"operation": "cancel", "fault": "reset_after", "nth": 2})
    for order in orders:
        assert act("dismiss", order, reason="priced wrongly")[0] == 0
        if chance.random() < 0.6:
            time.sleep(chance.random() * 0.1)
            shop.host.kill()
            shop.host.start()
    for order in orders:
        neap.until(lambda order=order: {i["status"] for i in shop.document(order)["items"]} == {"cancelled"},
                   f"SCAYLE shows {order['order_id']} as cancelled")
        neap.until(lambda order=order: shop.job(order)["state"] == "done", "the order came to rest")
        state = shop.host.order(order["order_id"])["facts"]["state"]
        assert "not approved by" in state and "priced wrongly" in state, state
    shop.faults("scayle")
    never_posted(*orders)
    assert not approvals()


def cancelled_meanwhile():
    order = staged(60)
    status, body, _ = shop.host.post("/demo/scayle/cancellation", {
        "orderReferenceKey": shop.entry(order)["order_reference_key"], "fulfillingMerchantKey": "fellside",
        "merchantKey": "fellside", "companyId": 1001, "warehouseIds": [31]}, auth=shop.AUTH)
    assert status == 201 and b"successful" in body, body
    neap.until(lambda: shop.job(order)["state"] == "done", "the order came to rest")
    never_posted(order)
    assert act("release", order)[0] != 0, "nothing waits for an approval any more"


shop.start()
try:
    neap.case("every mechanic is posted to the penny, with its gross-to-net picture", mechanics)
    neap.case("approved by rule: shown, and posted as shown", by_rule)
    neap.case("approved by a person: held until then, posted as shown", by_person)
    neap.case("kill -9 between showing and approval, and after it", killed_while_shown)
    neap.case("a reload that changes nothing shows nothing anew", reload_without_a_change)
    neap.case("a reload that changes the posting shows the new one; the old approval is none", reload_with_a_change)
    neap.case("what may have left stays what was approved", what_left_stays)
    neap.case("dismissed: never posted, SCAYLE is told, across kill -9", dismissed)
    neap.case("cancelled by the shopper while it is shown", cancelled_meanwhile)
finally:
    shop.stop()
neap.done()
