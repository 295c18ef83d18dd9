"""One system is down: orders are accepted all the same, wait without giving up, and go on when it is back."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import neap  # noqa: E402

shop = neap.Shop(apart=True, variables={"SWEEP_MS": "600000", "MIRROR_MS": "600000", "BREAKER_FAILURES": "2"})


def opened_times(connection):
    return shop.host.tail(1000000).count(f"connection_down {connection}")


def is_parked(orders):
    found = [shop.host.order(order["order_id"]) for order in orders]
    return all(f and f["jobs"][-1]["state"] == "waiting" for f in found)


def down(connection, orders):
    """What must be so while it is down."""
    neap.until(lambda: shop.host.exceptions("connection_down"), "the exception is opened")
    neap.until(lambda: is_parked(orders), "the orders are parked")
    tries = shop.host.metric("neap_retried_total", client="demo")
    seen = [0]

    def looks():  # some probes pass by, and nothing changes
        seen[0] += 1
        return seen[0] > 20
    neap.until(looks, "some time passes")
    found = shop.host.exceptions("connection_down")
    assert [e["subject"] for e in found] == [connection], found
    assert found[0]["owner"] == "operations" and found[0]["waiting"] >= 1, found
    assert opened_times(connection) == 1, shop.host.tail()
    jobs = shop.host.status()["jobs"]
    assert jobs["dead"] == 0 and jobs["held"] == 0, jobs
    assert shop.host.metric("neap_connection_up", client="demo", connection=connection) == 0
    assert shop.host.metric("neap_retried_total", client="demo") - tries <= 40, "parked jobs are tried all the time"
    assert shop.host.get("/healthz")[0] == 200


def back(connection, orders):
    shop.until_right(*orders)
    neap.until(lambda: not shop.host.exceptions(), "the exception is closed by proof")
    assert shop.host.metric("neap_connection_up", client="demo", connection=connection) == 1


def khaos_down():
    shop.until_right(shop.place("guest", seed=1))
    shop.khaos.kill()
    orders = [shop.place("guest", seed=10 + i) for i in range(15)]
    for order in orders:
        neap.until(lambda o=order: shop.entry(o).get("accepted"), f"delegation {order['order_id']} is answered")
    for order in orders:
        assert all(a["is_accepted"] for a in shop.entry(order)["attempts"]), shop.entry(order)
    down("khaos", orders)
    shop.khaos.start()
    back("khaos", orders)


def restart_while_down():
    """What was parked when the host stopped is parked again, and goes on as well."""
    shop.khaos.kill()
    orders = [shop.place("guest", seed=30 + i) for i in range(5)]
    for order in orders:
        neap.until(lambda o=order: shop.entry(o).get("accepted"), "it is answered")
    neap.until(lambda: shop.host.exceptions("connection_down") and is_parked(orders), "they are parked")
    shop.host.kill()
    shop.host.start()
    neap.until(lambda: is_parked(orders), "they are parked again")
    assert len(shop.host.exceptions("connection_down")) == 1
    assert shop.host.stop() == 0
    shop.host.start()
    shop.khaos.start()
    back("khaos", orders)


def delegate(order):
    status, text, _ = shop.delegate({"orderId": order["order_id"], "shopKey": "fo", "countryCode": "GB",
                                     "fulfillingMerchantKey": "fellside", "carrier": {"key": "DPD_UK"}})
    assert status == 201, (status, text)


def scayle_down():
    """SCAYLE delegates and cannot be asked: simulated by sending what it would have sent."""
    shop.control("scayle", "POST", "settings", {"delegation_lag_ms": 3600000})
    orders = [shop.place("guest", seed=50 + i) for i in range(8)]
    shop.scayle.kill()
    for order in orders:
        delegate(order)
    down("scayle", orders)
    shop.scayle.start()
    back("scayle", orders)


def down_before_acknowledge():
    """In Khaos, but SCAYLE is gone before it could be told: told when it is back, not posted again."""
    shop.faults("scayle", {"operation": "set_reference", "nth": 1, "times": 1000, "fault": "reset_before"})
    orders = [shop.place("guest", seed=60)]
    delegate(orders[0])
    neap.until(lambda: shop.posted(orders[0]), "it is in Khaos")
    shop.scayle.kill()
    neap.until(lambda: shop.host.exceptions("connection_down"), "SCAYLE is seen to be down")
    shop.scayle.start()
    shop.faults("scayle")
    back("scayle", orders)


def nothing_wrong():
    summary = shop.ledger("khaos", brief=1)["summary"]
    assert summary["duplicates"] == 0 and summary["amount_differs"] == 0, summary
    jobs = shop.host.status()["jobs"]
    assert jobs["dead"] == 0 and jobs["held"] == 0 and jobs["waiting"] == 0, jobs


try:
    shop.start()
    neap.case("with Khaos down orders are answered and parked; all are posted when it is back", khaos_down)
    neap.case("parked orders survive kill -9 and a drain", restart_while_down)
    neap.case("with SCAYLE down accepted orders are parked, and go on when it is back", scayle_down)
    neap.case("SCAYLE is told of what was posted while it was away", down_before_acknowledge)
    neap.case("at the end nothing is doubled, dead or held", nothing_wrong)
finally:
    shop.stop()
neap.done()
