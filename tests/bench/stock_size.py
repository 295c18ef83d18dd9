"""The stock flow with very many codes: the first reading and sending, then a delta, at several sizes of the catalogue.

    stock_size.py [--codes 20000,1000000] [--changes 1000]

Both systems are played here, because the sandboxes keep their world in a store and list 10,000 codes at most. It
asserts that every figure arrives and that no other is sent; times and memory are printed, and how much longer the delta
takes in the largest catalogue than in the smallest.
"""

import argparse
import html
import http.server
import json
import multiprocessing
import os
import random
import re
import sys
import time
import urllib.parse
import urllib.request

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
os.environ.setdefault("NEAP_BINARY", os.path.join(ROOT, "build", "release", "neap"))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))
import neap  # noqa: E402
import stock_server  # noqa: E402
from flow_meter import cpu_ms  # noqa: E402

SOAP = ('<?xml version="1.0" encoding="UTF-8"?><Envelope><Body><%sResponse><return xsi:type="xsd:string" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">%s</return></%sResponse></Body></Envelope>')
REVISED = "0"
CODE = re.compile(r"SKU-(\d{7})-M")


class Handler(stock_server.Handler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one write per answer, or each waits for the other side

    def say(self, document, status=200):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/change":
            self.say(self.server.move(int(body)))
        elif self.path.startswith("/khaos"):
            self.khaos(re.search(r"#(\w+)", self.headers["SOAPAction"]).group(1), body)
        elif self.path.endswith("/bulk-requests"):
            self.chunk(json.loads(body))
        else:
            self.say(self.server.set_figure(self.path, json.loads(body)))

    def do_GET(self):
        server, path = self.server, self.path
        if path == "/state":
            self.say({"right": server.count_right(), "calls": server.calls, "figures": server.figures})
        elif path.endswith("/status"):
            key = int(path.split("/bulk-requests/")[1].split("/")[0])
            total = server.bulks[key]
            if "/operations/" in path:
                self.say(server.operations[key][int(path.split("/")[-2]) - 1])
            else:
                self.say({"key": key, "status": "processed", "progress": {
                    "totalOperations": total, "processedOperations": total, "failedOperations": 0}})
        else:
            self.say({"entities": []})

    def chunk(self, body):
        server, callbacks = self.server, body["callbacks"]
        key = callbacks.get("bulkRequestKey") or len(server.bulks) + 1
        done = server.operations.setdefault(key, [])
        for operation in body["operations"]:
            shown = server.set_figure(operation["url"], operation["body"])
            done.append({"key": operation["key"], "status": "processed",
                         "response": {"statusCode": 200, "body": shown}})
        server.bulks[key] = len(done)
        server.calls += 1
        self.say({"key": key}, 201)

    def khaos(self, operation, body):
        server = self.server
        server.calls += 1
        if operation == "GetStockList":
            kind, since = re.search(r">(\d+)</DateType>.*>([-0-9T:]+)</DateValue>", body).groups()
            is_full = since.startswith("1899")
            numbers = server.numbers if is_full else [] if kind == REVISED else server.changed
            self.answer([(stock_server.HEAD % (len(numbers), len(numbers))).encode(), *server.items(numbers),
                         stock_server.TAIL.encode()], "text/xml; charset=utf-8")
            return
        numbers = [int(n) for n in CODE.findall(body)]
        if operation == "ExportStock":
            text = "<STOCK_ITEMS>%s</STOCK_ITEMS>" % "".join(
                f"<STOCK_ITEM><STOCK_CODE>SKU-{n:07d}-M</STOCK_CODE></STOCK_ITEM>" for n in numbers)
        else:
            text = "<STOCK_STATUS>%s</STOCK_STATUS>" % "".join(
                f'<STOCK_ITEM CODE="SKU-{n:07d}-M"><LEVEL>{server.levels[n]}</LEVEL><STATUS>1</STATUS></STOCK_ITEM>'
                for n in numbers)
        self.answer([(SOAP % (operation, html.escape(text), operation)).encode()], "text/xml; charset=utf-8")


class Server(stock_server.StockServer):
    request_queue_size = 128

    def __init__(self, port, codes):
        super().__init__(port, codes, True)
        self.RequestHandlerClass = Handler
        self.levels = [5] * codes
        self.shown = [None] * codes
        self.right, self.calls, self.figures = 0, 0, 0
        self.bulks, self.operations = {}, {}

    def move(self, count):
        """Levels of so many codes change; half of them fall."""
        self.revision += 1
        self.changed = random.Random(self.revision).sample(range(len(self.levels)), count)
        for n in self.changed:
            self.levels[n] += 1 if n % 2 else -1
        self.right, self.calls, self.figures = len(self.levels) - count, 0, 0
        return {}

    def set_figure(self, url, body):
        n = int(CODE.search(urllib.parse.unquote(url)).group(1))
        self.right += (body["quantity"] == self.levels[n]) - (self.shown[n] == self.levels[n])
        self.shown[n] = body["quantity"]
        self.figures += 1
        return body

    def count_right(self):
        return self.right


def serve(port, codes):
    Server(port, codes).serve_forever()


def ask(url, body=None):
    with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=60) as reply:
        return json.loads(reply.read())


def resident_mb(pid, name):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith(name))


def largest_file_mb(folder):
    return os.path.getsize(os.path.join(folder, "data", "demo", "data.mdb")) / 1e6


def wait(url, codes, began):
    """Until the shop shows every code rightly; progress on a terminal."""
    while True:
        state = ask(url + "/state")
        if state["right"] == codes:
            return state, time.monotonic() - began
        if sys.stderr.isatty():
            print(f"\r{state['right']} of {codes} right ", end="", file=sys.stderr, flush=True)
        time.sleep(0.05)


def measure(codes, changes):
    port = neap.free_port()
    url = f"http://127.0.0.1:{port}"
    server = multiprocessing.Process(target=serve, args=(port, codes), daemon=True)
    server.start()
    host = neap.Host([os.path.join(ROOT, "tests/bench/stock_client")], variables={
        "KHAOS_URL": url + "/khaos", "SCAYLE_URL": url + "/admin"})
    began = time.monotonic()
    host.start()
    try:
        state, seconds = wait(url, codes, began)
        print(f"# {codes} codes, first reading and sending: {seconds:.1f} s, {cpu_ms(host) / 1000:.1f} s of CPU, "
              f"{state['calls']} calls, {state['figures']} figures", flush=True)
        neap.until(lambda: (host.ask("stock")[0]["bulk"] or {"is_over": True}).get("is_over"), "the request is over", 600)
        times = []
        for _ in range(3):
            time.sleep(3)
            began = time.monotonic()
            ask(url + "/change", str(changes).encode())
            state, seconds = wait(url, codes, began)
            time.sleep(3)
            figures = ask(url + "/state")["figures"]
            assert figures == changes, f"{figures} figures were sent for {changes} changes"
            times.append(seconds)
        pid = host.process.pid
        print(f"# {codes} codes, {changes} changes: {sorted(times)[1]:.1f} s (of 3: {min(times):.1f} to {max(times):.1f}), "
              f"{state['calls']} calls; at most {resident_mb(pid, 'VmHWM'):.0f} MB resident, "
              f"{resident_mb(pid, 'RssAnon'):.0f} MB of it anonymous now, store {largest_file_mb(host.folder):.0f} MB",
              flush=True)
        return sorted(times)[1]
    finally:
        host.stop()
        server.kill()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--codes", default="20000,1000000")
    parser.add_argument("--changes", type=int, default=1000)
    given = parser.parse_args()
    sizes = [int(text) for text in given.codes.split(",")]
    times = [measure(codes, given.changes) for codes in sizes]
    if len(times) > 1:
        print(f"# the delta in the largest catalogue takes {times[-1] / times[0]:.2f} times that in the smallest")


if __name__ == "__main__":
    main()
