"""What `neap audit` costs of a big tenant: memory, its own folder, calls. Asserts nothing but that it ends.

    audit_size.py [--codes 100000] [--orders 20000] [words for neap audit...]

Both systems are played here, because the sandboxes keep their world in a store and list 10,000 codes at most:
as many variants as codes, ten to a product, one code in a hundred without its other side, and orders that are
copies of one the sandbox made, minutes apart.
"""

import argparse
import html
import http.server
import json
import os
import re
import resource
import subprocess
import sys
import threading
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))
import neap  # noqa: E402
import stock_server  # noqa: E402

SOAP = ('<?xml version="1.0" encoding="UTF-8"?><Envelope><Body><%sResponse><return xsi:type="xsd:string" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">%s</return></%sResponse></Body></Envelope>')
PER_PRODUCT = 10
GAP = 100  # one code in so many has no other side


def code_of(number):
    return "SKU-%07d-M" % number


class Handler(stock_server.Handler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one write per answer, or each waits for the other side

    def say(self, document):
        self.answer([json.dumps(document).encode()], "application/json")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        operation = re.search(r"#(\w+)", self.headers["SOAPAction"]).group(1)
        self.server.calls += 1
        if operation == "GetStockList":
            numbers = self.server.numbers
            self.answer([(stock_server.HEAD % (len(numbers), len(numbers))).encode(), *self.server.items(numbers),
                         stock_server.TAIL.encode()], "text/xml; charset=utf-8")
            return
        codes = re.search(r"StockCode[^>]*>([^<]*)<", body)
        each = codes.group(1).split(",") if codes else []
        text = {"ExportStock": "<STOCK_ITEMS>%s</STOCK_ITEMS>" % "".join(
                    f"<STOCK_ITEM><STOCK_CODE>{c}</STOCK_CODE></STOCK_ITEM>" for c in each),
                "ExportStockStatus": "<STOCK_STATUS>%s</STOCK_STATUS>" % "".join(
                    f'<STOCK_ITEM CODE="{c}"><LEVEL>5</LEVEL><STATUS>1</STATUS></STOCK_ITEM>' for c in each),
                }.get(operation, "")
        self.answer([(SOAP % (operation, html.escape(text), operation)).encode()], "text/xml; charset=utf-8")

    def do_GET(self):
        self.server.calls += 1
        path, _, query = self.path.partition("?")
        words = dict(pair.split("=", 1) for pair in query.split("&") if "=" in pair)
        at, limit = int(words.get("cursor", 0)), int(words.get("limit", 100))
        if path.endswith("/products"):
            self.page(at, limit, self.server.codes // PER_PRODUCT, self.server.product)
        elif path.endswith("/orders"):
            self.page(at, limit, self.server.orders if "/GB/" in path else 0, self.server.order)
        elif "/orders/" in path:
            self.say(self.server.order(int(path.rsplit("/", 1)[1]) - 1))
        elif "/stocks" in path:
            self.say({"entities": [{"warehouseReferenceKey": "KC-MAIN", "quantity": 5}]})
        else:
            self.say({"entities": []})

    def page(self, at, limit, count, make):
        last = min(at + limit, count)
        self.say({"entities": [make(n) for n in range(at, last)],
                  "cursor": {"next": str(last) if last < count else None}})


class Server(stock_server.StockServer):
    def __init__(self, port, codes, orders, template):
        super().__init__(port, codes, True)
        self.RequestHandlerClass = Handler
        self.codes, self.orders, self.calls, self.template = codes, orders, 0, template

    def product(self, number):
        first = number * PER_PRODUCT
        return {"id": number, "referenceKey": f"P-{number}", "state": "live", "variants": [
            {"id": n, "referenceKey": code_of(n) if n % GAP else f"GONE-{n}", "merchantReferenceKeys": ["fellside"]}
            for n in range(first, first + PER_PRODUCT)]}

    def order(self, number):
        stamp = time.gmtime(time.time() - 60 * (number + 1))
        return {**self.template, "id": number + 1, "publicKey": f"FO-{number + 1}", "referenceKey": None,
                "confirmedAt": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", stamp)}


def template():
    """An order of the sandbox."""
    shop = neap.Shop()
    shop.scayle.start()
    try:
        return shop.folder, shop.document(shop.place())
    finally:
        shop.stop()


def folder_size(folder):
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(place, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--codes", type=int, default=100000)
    parser.add_argument("--orders", type=int, default=20000)
    given, words = parser.parse_known_args()
    client, order = template()
    server = Server(neap.free_port(), given.codes, given.orders, order)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    place = neap.new_folder()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    line = [neap.BINARY, "audit", client, "--secrets", os.path.join(ROOT, "examples/demo/secrets"),
            "--set", f"SCAYLE_URL={url}/admin", "--set", f"KHAOS_URL={url}/khaos", "--set", "TIMEOUT_MS=120000",
            "--per-minute", "60000", "--max-calls", "100000", "--json",
            "--html", os.path.join(place, "a.html"), "--csv", os.path.join(place, "a.csv"), *words]
    scratch = os.path.join(place, "tmp")
    os.mkdir(scratch)
    began, largest = time.monotonic(), 0
    process = subprocess.Popen(line, stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": scratch})
    text = []
    reader = threading.Thread(target=lambda: text.append(process.stdout.read()))
    reader.start()
    while process.poll() is None:
        largest = max(largest, folder_size(scratch))
        time.sleep(0.2)
    reader.join()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    document = json.loads(text[0])
    assert os.listdir(scratch) == [], "left behind"
    assert document["calls"] == server.calls, (document["calls"], server.calls)
    print(f"{given.codes} codes and variants, {given.orders} orders listed: {time.monotonic() - began:.1f} s, "
          f"{server.calls} calls, at most {usage.ru_maxrss / 1024:.0f} MB resident, {largest / 1e6:.0f} MB in its "
          f"folder, page {os.path.getsize(os.path.join(place, 'a.html')) / 1e3:.0f} kB, "
          f"CSV {os.path.getsize(os.path.join(place, 'a.csv')) / 1e6:.1f} MB")
    for part in document["parts"]:
        print(" ", part)
    for finding in document["findings"]:
        print(" ", finding["cause"], finding["subject"], finding["count"], len(finding["objects"]))


main()
