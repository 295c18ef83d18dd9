"""Stopping and starting: a drain, a kill, a second host; everything goes on afterwards and ends right."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import neap  # noqa: E402

shop = neap.Shop(variables={"SWEEP_MS": "600000", "MIRROR_MS": "600000", "TIMEOUT_MS": "20000"},
                 options=["--drain-ms", "60000"])


def imports_begun():
    return len(shop.control("khaos", "GET", "calls?limit=10000&operation=ImportOrders")["calls"])


def expectations():
    return shop.control("scayle", "GET", "expectations")["orders"]


def until_settled(count):
    neap.until(lambda: len(expectations()) >= count, "all orders are placed")
    for order in expectations():
        if order["expect"] == "posted":
            shop.until_right(order)
        else:
            shop.until_held(order, order["expect"].split(":")[1])


def stop_and_start():
    shop.faults("khaos", {"fault": "delay", "ms": 40})
    shop.control("scayle", "POST", "play", {"seed": 7, "count": 40, "interval_ms": 15})
    for _ in range(3):
        begun = imports_begun()
        neap.until(lambda: imports_begun() > begun + 2 or len(expectations()) >= 40, "orders are on their way")
        code = shop.host.stop()
        assert code == 0, (code, shop.host.tail())
        assert '"draining"' in shop.host.tail() and '"stopped"' in shop.host.tail(), shop.host.tail()
        shop.host.start()
    shop.faults("khaos")
    until_settled(40)


def under_way():
    """The import that is on its way when the stop is asked for gets its answer; nobody asks again."""
    shop.faults("khaos", {"operation": "ImportOrders", "nth": 1, "fault": "delay", "ms": 700})
    begun = imports_begun()
    order = shop.place("guest", seed=70)
    neap.until(lambda: imports_begun() > begun, "the import is on its way")
    assert shop.host.stop() == 0
    found = shop.host.order(order["order_id"])
    assert any(line["kind"] == "effect" and "import_order" in line["text"] for line in found["timeline"]), found
    shop.host.start()
    shop.until_right(order)
    assert imports_begun() == begun + 1


def second_signal():
    shop.faults("khaos", {"operation": "ImportOrders", "nth": 1, "fault": "delay", "ms": 15000})
    begun = imports_begun()
    order = shop.place("guest", seed=71)
    neap.until(lambda: imports_begun() > begun, "the import is on its way")
    size = os.path.getsize(shop.host.log_path)
    shop.host.signal(signal.SIGTERM)
    neap.until(lambda: b"draining" in open(shop.host.log_path, "rb").read()[size:], "it drains")
    assert shop.host.process.poll() is None, "the drain did not wait for the import"
    shop.host.signal(signal.SIGTERM)
    assert shop.host.process.wait(10) == 0, shop.host.tail()
    shop.faults("khaos")
    shop.host.start()
    shop.until_right(order)
    assert imports_begun() == begun + 1, "what Khaos had done was looked up"


def never_left():
    """Four imports hang in Khaos, others wait their turn behind them. After a stop that did not wait for either, only
    the four are in doubt and looked up; what never left is simply sent."""
    shop.faults("khaos", {"operation": "ImportOrders", "fault": "delay", "ms": 15000})
    begun = imports_begun()
    orders = [shop.place("guest", seed=80 + i) for i in range(9)]
    neap.until(lambda: imports_begun() == begun + 4, "four are on their way")
    neap.until(lambda: shop.host.metric("neap_connection_queued", client="demo", connection="khaos") >= 5,
               "five wait behind them")
    size = os.path.getsize(shop.host.log_path)
    shop.host.signal(signal.SIGTERM)
    neap.until(lambda: b"draining" in open(shop.host.log_path, "rb").read()[size:], "it drains")
    shop.host.signal(signal.SIGTERM)  # two at once would be one
    assert shop.host.process.wait(10) == 0, shop.host.tail()
    states = [[effect["state"] for effect in shop.host.order(order["order_id"])["open_effects"]]
              for order in orders]
    rest = [state for state in states if state != ["unknown"]]  # some wait with a look-up yet
    assert len(rest) == 5 and ["unsent"] in rest and all(state in ([], ["unsent"]) for state in rest), states
    shop.faults("khaos")
    shop.host.start()
    for order in orders:
        shop.until_right(order)
    assert imports_begun() == begun + 9, "each was sent once"


def second_host():
    data = os.path.join(shop.host.folder, "data")
    code, text = neap.run("run", "--client", shop.folder, "--data", data, "--listen", f"127.0.0.1:{neap.free_port()}")
    assert code == 4 and str(shop.host.process.pid) in text, (code, text)
    assert shop.host.get("/healthz")[0] == 200
    code, text = neap.run("run", "--client", shop.folder, "--data", neap.new_folder(),
                          "--listen", f"127.0.0.1:{shop.host.port}",
                          "--secrets", os.path.join(neap.ROOT, "examples/demo/secrets"))
    assert code != 0 and str(shop.host.port) in text, (code, text)


def killed():
    shop.faults("khaos", {"fault": "delay", "ms": 30})
    shop.control("scayle", "POST", "play", {"seed": 9, "count": 25, "interval_ms": 10})
    for _ in range(4):
        begun = imports_begun()
        neap.until(lambda: imports_begun() > begun + 1 or len(expectations()) >= 76, "orders are on their way")
        shop.host.kill()
        shop.host.start()
    shop.faults("khaos")
    until_settled(76)


def hanging_client():
    """Someone who sends half a request does not keep the host from stopping."""
    import socket
    with socket.create_connection(("127.0.0.1", shop.host.port)) as s:
        s.sendall(b"POST /demo/scayle/delegation HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert shop.host.stop() == 0
    shop.host.start()


def all_delegated():
    summary = shop.ledger("scayle", brief=1)["summary"]
    return summary["delegated"] == summary["orders"]


def nothing_wrong():
    summary = shop.ledger("khaos", brief=1)["summary"]
    assert summary["duplicates"] == 0 and summary["amount_differs"] == 0, summary
    neap.until(all_delegated, "the last delegation came through")
    summary = shop.ledger("scayle", brief=1)["summary"]
    assert summary["repeat_differs"] == 0 and summary["given_up"] == 0, summary
    jobs = shop.host.status()["jobs"]
    assert jobs["dead"] == 0 and jobs["ready"] == 0 and jobs["waiting"] == 0, jobs


try:
    shop.start()
    neap.case("three drains in the middle of forty orders exit with 0 and lose nothing", stop_and_start)
    neap.case("a drain waits for the import under way", under_way)
    neap.case("a second SIGTERM ends at once and loses nothing", second_signal)
    neap.case("what waited its turn when the host stopped is sent anew, not looked up", never_left)
    neap.case("a second host on the same data or port is refused, naming the first", second_host)
    neap.case("four kill -9 in the middle of orders lose nothing", killed)
    neap.case("half a request does not hold a stop up", hanging_client)
    neap.case("at the end nothing is doubled, dead or unanswered", nothing_wrong)
finally:
    shop.stop()
neap.done()
