"""Health at a glance: each flow's colour and why, orders in, posted, held, the oldest waiting, how late stock is,
the last reconciliation and comparison of stock; in neap status, in its JSON and in /metrics. And the stuck orders,
as a list and as the morning's alert."""

import http.server
import json
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import neap  # noqa: E402

ALERTS = """
        alerts = {
            use = "flows.alerts", schedules = {stuck = {every_ms = 400}}, settings = {
                channels = {desk = {kind = "webhook", connection = "desk", path = "/"}},
                routes = {default = {{channel = "desk"}}}, nobody = "operations",
            },
        },
        despatch = {"""

told = []  # bodies that the desk got


class Desk(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *words):
        pass


desk = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Desk)
threading.Thread(target=desk.serve_forever, daemon=True).start()
shop = neap.Shop(apart=True, variables={"STOCK_POLL_MS": "500", "STOCK_SEND_MS": "300", "DRIFT_MS": "300",
                                        "SWEEP_MS": "400", "DESPATCH_MS": "400"})
shop.edit("client.lua", "        despatch = {", ALERTS)
shop.edit("client.lua", "    connections = {", f"""    connections = {{
        desk = {{base_url = "http://127.0.0.1:{desk.server_address[1]}"}},""")


def health():
    return shop.host.status()["health"]


def flow(name):
    return {f["name"]: f for f in health()["flows"]}[name]


def text(*words):
    return shop.host.verb("status", *words)


def metric(name, **labels):
    return shop.host.metric(name, client="demo", **labels)


def until_colour(name, colour, why=""):
    neap.until(lambda: flow(name)["colour"] == colour and why in flow(name)["why"], f"{name} is {colour}: {why}")
    assert metric("neap_flow_health", flow=name) == ("green", "amber", "red").index(colour)


def all_green():
    orders = [shop.place(seed=n) for n in range(3)]
    shop.until_right(*orders)
    neap.until(lambda: health()["colour"] == "green", "everything is green")
    found = health()
    assert {f["name"] for f in found["flows"]} == {"orders", "mirror", "stock", "returns", "cancellations", "despatch",
                                                   "alerts"}, found
    assert found["orders"] == {"in_24h": 3, "posted_24h": 3, "held": 0, "not_in_khaos": 0, "stuck": 0}, found
    code, said = text()
    assert code == 0 and "demo: green, 0 open exceptions" in said, (code, said)
    assert "orders of 24 h: 3 in, 3 posted; now 0 held, 0 not in Khaos" in said, said
    assert "never reconciled yet" in said, said
    assert (metric("neap_orders_in_day"), metric("neap_orders_posted_day")) == (3, 3)
    assert text("--stuck") == (0, "no order is stuck\n")


def stock_lag():
    def settled():
        stock = health()["stock"]
        return stock["due"] == 0 and stock.get("full_ms")
    neap.until(settled, "the shop has every figure")
    neap.until(lambda: "every figure is in the shop" in text()[1], "the text says it, too")
    shop.edit("client.lua", "overlap_ms = 5000,", "overlap_ms = 5000, lag_amber_ms = 1500, lag_red_ms = 5000,")
    assert shop.host.verb("reload")[0] == 0
    time.sleep(1)  # some runs of the sender keep the new bounds
    neap.until(lambda: flow("stock")["colour"] == "green", "the new bounds serve")
    code, said = shop.host.verb("pause", "connection", "scayle", "--who", "eve", "--reason", "their maintenance")
    assert code == 0, said
    shop.control("khaos", "POST", "stock", {"code": "FO-AIR-0001", "level": 4, "buffer": 0})
    neap.until(lambda: health()["stock"]["lag_ms"] > 2000, "the figure is late")
    assert metric("neap_stock_due") >= 1 and metric("neap_stock_lag_seconds") >= 2
    assert "figures due, the oldest for " in text()[1], text()
    assert "connection scayle is paused by eve since " in health()["why"], health()
    assert "their maintenance" in health()["why"], health()
    until_colour("stock", "amber", "wait, as a person paused the connection: scayle")
    until_colour("stock", "red", "figures are due in the shop for ")
    assert shop.host.verb("resume", "connection", "scayle")[0] == 0
    neap.until(settled, "the shop has every figure again")


def held():
    order = shop.place("unknown_sku", seed=7)
    shop.until_held(order, "unknown_stock_code")
    until_colour("orders", "amber", "1 held: ")
    orders = health()["orders"]
    assert (orders["held"], orders["not_in_khaos"], orders["stuck"]) == (1, 1, 0), orders
    assert orders["oldest"] == str(order["order_id"]), (orders, order)
    assert 0 < time.time() * 1000 - orders["oldest_accepted_ms"] < 120000, orders
    code, said = text("--stuck")
    assert code == 1 and str(order["order_id"]) in said and "does not exist in Khaos" in said, (code, said)
    return order


def stuck(order):
    assert not [t for t in told if t["kind"] == "stuck"], told
    shop.edit("client.lua", "missing_order_wait_ms = 200,", "missing_order_wait_ms = 200, stuck_after_ms = 1000,")
    neap.until(lambda: health()["orders"]["stuck"] == 1, "it is stuck by the new settings")
    until_colour("orders", "red", f"Order {order['order_id']} was accepted")
    code, said = text()
    assert code == 1 and "1 stuck (neap status --stuck)" in said and "demo: red" in said, (code, said)
    listed = shop.host.ask("status", "--stuck")
    assert len(listed) == 1 and listed[0]["minor"] == order["total_minor"], (listed, order)
    assert "does not exist in Khaos" in listed[0]["why"] and listed[0]["deadline_ms"], listed
    assert metric("neap_orders_stuck") == 1 and metric("neap_oldest_order_seconds") >= 1
    neap.until(lambda: any(t["kind"] == "stuck" for t in told), "the morning's alert")
    alert = next(t for t in told if t["kind"] == "stuck")
    assert alert["data"]["count"] == 1 and alert["data"]["orders"][0]["order_id"] == str(order["order_id"]), alert
    assert "unknown_stock_code" in alert["text"] and "GBP" in alert["text"], alert
    code, said = shop.host.verb("exceptions", "dismiss", "unknown_stock_code",
                                shop.host.exceptions("unknown_stock_code")[0]["subject"], "--reason", "no such thing")
    assert code == 0, said
    until_colour("orders", "green")


def khaos_down():
    shop.khaos.kill()
    order = shop.place(seed=21)
    until_colour("orders", "red", "wait, as a connection is down: khaos")
    shop.khaos.start()
    shop.until_right(order)
    until_colour("orders", "green")


def paused():
    assert shop.host.verb("pause", "flow", "returns", "--who", "eve", "--reason", "stocktaking")[0] == 0
    until_colour("returns", "amber", "paused by eve since ")
    assert shop.host.verb("resume", "flow", "returns")[0] == 0
    until_colour("returns", "green")


def reconciled():
    assert "reconciled" not in health()
    assert shop.host.verb("reconcile", "--from", "2026-01-01")[0] in (0, 1)
    assert "reconciled" not in health(), "a part is not the books"
    code, said = shop.host.verb("reconcile")
    assert code in (0, 1), said
    found = health()["reconciled"]
    assert found["ties"] == (code == 0) and abs(found["at_ms"] - time.time() * 1000) < 60000, found
    assert metric("neap_reconciled_ties") == (1 if code == 0 else 0)
    assert ("it ties" if code == 0 else "IT DIFFERS") in text()[1], text()


def drifted():
    assert shop.host.verb("stock", "drift", "--check")[0] == 0
    neap.until(lambda: "drift" in health(), "the comparison ends")
    found = health()["drift"]
    assert found["looked"] > 10 and found["differ"] == metric("neap_stock_drift"), found
    assert f"{found['differ']} of {found['looked']} codes differ" in text()[1], text()
    if found["differ"] > 0:
        until_colour("stock", "amber", shop.host.exceptions("stock_drift")[0]["message"])


def stopped():
    before = health()
    shop.host.stop()
    found = health()
    assert found["reconciled"] == before["reconciled"] and found["drift"] == before["drift"], (before, found)
    assert {f["name"] for f in found["flows"]} <= {f["name"] for f in before["flows"]}, found
    assert found["orders"]["in_24h"] == before["orders"]["in_24h"], (before, found)


def on_the_cloud():
    """Where Khaos calls us the same figures come from what it brings."""
    cloud = neap.Shop(cloud=True, variables={"STOCK_POLL_MS": "500", "STOCK_SEND_MS": "300"})
    cloud.start()
    try:
        cloud.until_right(cloud.place(seed=1))

        def seen():
            found = cloud.host.status()["health"]
            return (found["colour"] == "green" and found["orders"]["posted_24h"] == 1
                    and found["orders"]["not_in_khaos"] == 0 and found.get("stock", {}).get("read_ms"))
        neap.until(seen, f"all is green there: {cloud.host.status()['health']}")
        cloud.edit("client.lua", 'number("POLL_SILENCE_MS", 3600000)', "1500")
        cloud.control("khaos", "POST", "faults", {"rules": [{"fault": "reset_before"}]})

        def silent():
            flows = {f["name"]: f for f in cloud.host.status()["health"]["flows"]}
            return [f for f in flows.values() if f["colour"] == "red" and "has not asked for orders" in f["why"]]
        neap.until(silent, "Khaos that does not call is red")
    finally:
        cloud.stop()


shop.start()
try:
    neap.case("all is green; orders in and posted are counted", all_green)
    neap.case("a figure that is not in the shop is late, says for how long, and is as red as it may be", stock_lag)
    held_order = []
    neap.case("a held order makes its flow amber, and is the oldest waiting", lambda: held_order.append(held()))
    neap.case("stuck orders are red, listed, and told every morning", lambda: stuck(held_order[0]))
    neap.case("a connection that is down is red until it is back", khaos_down)
    neap.case("a paused flow is amber", paused)
    neap.case("the last reconciliation is kept, with whether it tied", reconciled)
    neap.case("so is the last comparison of stock", drifted)
    neap.case("what a stopped host left says the same", stopped)
    shop.stop()
    neap.case("on Khaos Control Cloud the same is seen", on_the_cloud)
finally:
    shop.stop()
    desk.shutdown()
neap.done()
