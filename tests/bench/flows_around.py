"""Rows of flows_bench.py that are not about an order of the on-premise line: Khaos Control Cloud, alerts, products. Each
has a host and sandboxes of its own, so nothing else runs beside it; `posting` is what an order cost on-premise."""

import http.server
import json
import threading
import time

import neap
from flow_meter import measure

QUIET = {"CONCURRENT": "16", "SWEEP_MS": "3600000", "DESPATCH_MS": "3600000"}
ITEMS = 500  # of one push: Khaos's own page
CODES = 1000
ACCOUNT = ("khaos", "sandbox")


def place(shop, count):
    for part in range(0, count, 50):
        shop.control("scayle", "POST", "play", {"seed": part, "interval_ms": 0,
                                                "kinds": ["multi_unit"] * min(50, count - part)})


def are_posted(shop, count):
    entries = shop.control("scayle", "GET", "ledger")["orders"]
    return len([e for e in entries if e.get("reference_key")]) == count


# ---- Khaos Control Cloud -------------------------------------------------------------------------

def push_items(shop, pushes):
    """StockUpload: items that Khaos edited, another batch each time."""
    for number in range(pushes):
        items = [{"StockID": str(1000000 + n), "StockCode": f"BENCH-{n:06d}", "Options": {
            "Discontinued": False, "PublishOnWeb": True}} for n in range(number * ITEMS, (number + 1) * ITEMS)]
        status, body, _ = shop.host.post("/demo/khaos/stock", json.dumps({"Items": items, "Deleted": []}), auth=ACCOUNT)
        assert status == 200, body


def push_levels(shop, pushes):
    """StockStatusUpload of the same items."""
    for number in range(pushes):
        levels = [{"StockCode": f"BENCH-{n:06d}", "StockID": str(1000000 + n), "SiteID": 1, "Levels": {"Available": 5}}
                  for n in range(number * ITEMS, (number + 1) * ITEMS)]
        status, body, _ = shop.host.post("/demo/khaos/stock-status", json.dumps({"Statuses": levels}), auth=ACCOUNT)
        assert status == 200, body


def cloud(count, posting):
    shop = neap.Shop(cloud=True, variables={**QUIET, "CLOUD_WATCH_MS": "3600000"})
    shop.scayle.variables["SANDBOX_CLOUD_MS"] = "1000"
    shop.start()
    try:
        shop.control("scayle", "POST", "settings", {"rate_limits": {"ordersRead": 1000000, "ordersWrite": 1000000}})
        neap.until(lambda: shop.host.get("/healthz")[0] == 200, "the host is up")
        measure(shop.host, "Cloud: an order fetched by Khaos, its status pushed", count, lambda: place(shop, count),
                lambda: are_posted(shop, count), posting)
        shop.control("khaos", "POST", "settings", {"cloud": False})
        measure(shop.host, f"Cloud: a StockUpload of {ITEMS} items", 20, lambda: push_items(shop, 20), lambda: True, posting)
        measure(shop.host, f"Cloud: a StockStatusUpload of {ITEMS} levels", 20, lambda: push_levels(shop, 20), lambda: True,
                posting)
    finally:
        shop.stop()


# ---- alerts --------------------------------------------------------------------------------------

ALERTS = """    flows = {
        alerts = {use = "flows.alerts", settings = (function()
            local channels, routes = {}, {}
            for i = 1, number("CHANNELS", 1) do
                local name = "hook" .. i
                channels[name] = {kind = "webhook", connection = "hook", path = "/alerts"}
                routes[i] = {channel = name}
            end
            return {channels = channels, routes = {default = routes}}
        end)()},
"""
HOOK = """    connections = {
        hook = {base_url = var("HOOK_URL", "http://127.0.0.1:9"), signature = {secret = secret("HOOK_KEY")}},
"""


class Listener(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.count += 1
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def alerts(channels, posting):
    """One exception is told by each of many webhooks: every delivery is a job and an effect of its own."""
    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    listener.count = 0
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    shop = neap.Shop(variables={**QUIET, "MIRROR_MS": "3600000", "CHANNELS": str(channels),
                                "HOOK_URL": f"http://127.0.0.1:{listener.server_address[1]}"})
    shop.host.environment["HOOK_KEY"] = "a shared secret"
    shop.edit("client.lua", "    connections = {\n", HOOK)
    shop.edit("client.lua", "    flows = {\n", ALERTS)
    shop.start()
    try:
        measure(shop.host, "an alert delivered to a webhook", channels, lambda: shop.place("unknown_sku"),
                lambda: listener.count == channels, posting)
    finally:
        shop.stop()
        listener.shutdown()


# ---- products ------------------------------------------------------------------------------------

PRODUCTS = """    flows = {
        products = {use = "flows.products", schedules = {step = {every_ms = 200}}, settings = {khaos = khaos,
            merchant_key = "fellside", calls_per_minute = 100000, quota_left_percent = 0, not_for_web = {"*"}}},
"""


def compared(shop):
    return shop.host.ask("products")


def products(thousands, posting):
    """Both catalogues are compared; the mirror read Khaos's codes when the host began."""
    shop = neap.Shop(variables={**QUIET, "MIRROR_MS": "3600000"})
    shop.edit("client.lua", "    flows = {\n", PRODUCTS)
    shop.scayle.start()
    try:
        for number in range(thousands * CODES):
            shop.control("khaos", "POST", "stock", {"code": f"BENCH-{number:06d}"})
        for number in range(0, thousands * CODES, 100):
            shop.control("scayle", "POST", "products", {"products": [
                {"key": f"P{n}", "state": "live", "variants": [{"sku": f"BENCH-{n:06d}"}]}
                for n in range(number, number + 100)], "remove": []})
        shop.host.start()
        neap.until(lambda: shop.calls("khaos", "GetStockList") and "products flow that has run" not in
                   shop.host.verb("products", "--check", "--dry-run")[1], "the flows run")
        time.sleep(5)  # the mirror writes down what it read
        measure(shop.host, f"both catalogues compared, per {CODES} codes", thousands,
                lambda: shop.host.verb("products", "--check", "--who", "bench"),
                lambda: compared(shop).get("completed"), posting)
        found = compared(shop)
        assert min(found["variants"], found["stock_codes"]) >= thousands * CODES, found
    finally:
        shop.stop()
