#!/usr/bin/env python3
"""CPU of the host per order in each flow after the posting, beside the posting itself.

    tests/bench/flows_bench.py [ORDERS]       default 300

The same orders are posted, a unit of some is cancelled in SCAYLE and amended in Khaos, all are sent, and a unit of
each comes back: what the host spends from the first to the last of each, polls and look-ups included, over
the number of orders. Then, each on a host of its own (flows_around.py): the same orders over Khaos Control Cloud, its
pushes of stock, alerts, the comparison of the catalogues. Asserts nothing but that each comes to its end.
"""

import os
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))
import neap  # noqa: E402
import flow_meter  # noqa: E402
import flows_around  # noqa: E402

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 300

shop = neap.Shop(variables={"CONCURRENT": "16", "SWEEP_MS": "3600000", "MIRROR_MS": "3600000", "DESPATCH_MS": "2000",
                            "AMEND_ADD_ON": "1"})


def entries():
    return shop.control("scayle", "GET", "ledger")["orders"]


def in_khaos(order_id, **action):
    shop.control("khaos", "POST", "orders", {"reference": f"SC{order_id}", **action})


def measure(name, count, act, condition, posting=None):
    return flow_meter.measure(shop.host, name, count, act, condition, posting)


def amendable(order_id):
    """Several units, and Khaos has not got the money yet."""
    document = shop.document({"order_id": order_id})
    return len(document["items"]) > 1 and document["payment"][0]["key"] == "adyen_creditcard"


def take_off(ids):
    for order_id in ids:
        shop.control("scayle", "POST", "cancel_items", {
            "order_id": order_id, "items": [shop.document({"order_id": order_id})["items"][0]["id"]]})


def credit(ids):
    for order_id in ids:
        left = next(i for i in shop.document({"order_id": order_id})["items"] if i["status"] == "shipped")
        in_khaos(order_id, action="credit", items=[{"stock_code": left["variant"]["referenceKey"], "quantity": 1}])


def amended():
    return [o for o in shop.ledger("khaos")["orders"] if o.get("amended")]


shop.start()
try:
    shop.control("khaos", "POST", "settings", {"paid_add_ons": True})
    shop.control("scayle", "POST", "settings", {"webhook_path": "/scayle/webhook", "rate_limits": {
        "ordersRead": 1000000, "ordersWrite": 1000000, "fulfillmentWrite": 1000000}})
    print(f"{'flow, per order':<64} |   host CPU | of the posting")
    base = measure("posting", COUNT, lambda: flows_around.place(shop, COUNT), lambda: flows_around.are_posted(shop, COUNT))
    ids = [e["order_id"] for e in entries()]
    some = [order_id for order_id in ids if amendable(order_id)]
    measure(f"a unit cancelled in SCAYLE, amended in Khaos ({len(some)})", len(some), lambda: take_off(some),
            lambda: len(amended()) == len(some), base)
    measure("despatch of the rest", len(ids), lambda: [in_khaos(i, action="ship") for i in ids],
            lambda: all(e["shipments"] for e in entries()), base)
    measure("a unit back, by a credit note", len(ids), lambda: credit(ids), lambda: all(e["returns"] for e in entries()),
            base)
finally:
    shop.stop()
flows_around.cloud(COUNT, base)
flows_around.alerts(100, base)
flows_around.products(2, base)
