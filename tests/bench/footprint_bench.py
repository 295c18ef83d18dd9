"""Footprint: memory, start, reload and the mirror of stock codes, each beside its floor.

    tests/bench/footprint_bench.py [PART...]      memory start reload mirror; default: all

Prints rows `name | floor | host | ratio | aim` and asserts nothing. Sizes by environment: ORDERS
(through the flow, 2,000), HELD (10,000), JOBS (100,000), CODES (1,000,000), ROUNDS (7). The release binary
and the floor are made by make when they are not there.
"""

import atexit
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault("NEAP_BINARY", os.path.join(ROOT, "build", "release", "neap"))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
import neap  # noqa: E402

FLOOR = os.path.join(ROOT, "build", "release", "bench", "footprint_floor")
ORDERS = int(os.environ.get("ORDERS", 2000))
HELD = int(os.environ.get("HELD", 10000))
JOBS = int(os.environ.get("JOBS", 100000))
CODES = max(20000, int(os.environ.get("CODES", 1000000)))  # fewer changes are asked about one by one
ROUNDS = int(os.environ.get("ROUNDS", 7))
QUIET = {"SWEEP_MS": "3600000", "MIRROR_MS": "3600000"}
SCHEDULES = ("sweep", "refresh")  # their jobs come and go all the time
HELLO = b"GET /healthz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"


def row(name, floor, host, ratio, aim):
    print(f"{name:<44} | {floor:>12} | {host:>12} | {ratio:>7} | {aim}", flush=True)


def rated(name, floor, host, unit, aim):
    row(name, f"{floor:.1f} {unit}", f"{host:.1f} {unit}", f"{host / floor:.1f}", aim)


# ---- processes ---------------------------------------------------------------------------------


def anonymous_mb(pid):
    """Anonymous memory in MB: what the process owns and no file backs."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        for line in f:
            if line.startswith("Anonymous:"):
                return int(line.split()[1]) / 1024
    raise AssertionError("no Anonymous line")


def first_answer_ms(command, port, log):
    """Starts a server; milliseconds from before its exec to the first 200, and the process."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
                s.sendall(HELLO)
                if s.recv(64).startswith(b"HTTP/1.1 200"):
                    return (time.monotonic() - started) * 1000, process
        except OSError:
            pass
        if process.poll() is not None:
            raise AssertionError(f"{command[0]} ended with {process.returncode}")
        time.sleep(0.0002)


def end(process):
    process.kill()
    process.wait()


class Floor:
    """The bare process with the same libraries."""

    def __init__(self):
        self.folder = neap.new_folder()
        self.port = neap.free_port()

    def start(self):
        command = [FLOOR, "serve", str(self.port), os.path.join(self.folder, "store")]
        return first_answer_ms(command, self.port, subprocess.DEVNULL)


def bench_client():
    """The tests' client with one more flow, that fills the store."""
    folder = neap.client_folder()
    shutil.copy(os.path.join(ROOT, "tests/bench/footprint_client/bulk.lua"), os.path.join(folder, "bulk.lua"))
    path = os.path.join(folder, "client.lua")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("    flows = {\n", "    flows = {\n        bulk = {use = \"bulk\"},\n", 1))
    return folder


def fill(host, kind, start, count):
    for first in range(start, start + count, 100):
        host.json("POST", "/demo/bulk", {"kind": kind, "from": first, "count": min(100, start + count - first)})
    neap.until(lambda: host.metric("neap_jobs", client="demo", state="ready") == 0, "all ran", 600)


# ---- memory ------------------------------------------------------------------------------------


def watch(pid, is_over):
    """The highest anonymous memory seen until is_over()."""
    peak = 0.0
    while True:
        for _ in range(20):
            peak = max(peak, anonymous_mb(pid))
            time.sleep(0.02)
        if is_over():
            return peak


def play_orders(shop, pid):
    """ORDERS of many kinds through the whole flow, as fast as they come; the peak while they do."""
    scopes = ("ordersRead", "ordersUpdate")
    shop.control("scayle", "POST", "settings", {"rate_limits": {scope: 1000000 for scope in scopes}})
    shop.control("scayle", "POST", "play", {"seed": 1, "count": ORDERS, "interval_ms": 5})
    quiet = 0

    def is_over():
        nonlocal quiet
        busy = sum(shop.host.metric("neap_jobs", client="demo", state=state)
                   for state in ("ready", "running", "waiting"))
        accepted = shop.host.metric("neap_accepted_total", client="demo")
        quiet = quiet + 1 if busy <= len(SCHEDULES) and accepted >= ORDERS else 0
        return quiet >= 3

    return watch(pid, is_over)


def memory():
    floor = Floor()
    _, process = floor.start()
    bare = anonymous_mb(process.pid)
    end(process)
    idle_host = neap.Host(["examples/demo"]).start()
    time.sleep(1.5)
    rated("anonymous memory, idle, one client", bare, anonymous_mb(idle_host.process.pid), "MB", "12 MB")
    idle_host.kill()
    shop = neap.Shop()
    shop.folder = shop.host.clients[0] = bench_client()
    shop.start()
    pid = shop.host.process.pid
    peak = play_orders(shop, pid)
    rated(f"  during {ORDERS} orders (peak)", bare, peak, "MB", "32 MB")
    rated("  after them", bare, anonymous_mb(pid), "MB", "32 MB")
    fill(shop.host, "held", 0, HELD)
    rated(f"  with {HELD} held jobs", bare, anonymous_mb(pid), "MB", "32 MB")
    shop.stop()


# ---- start -------------------------------------------------------------------------------------


def start_once(host, is_killed):
    ms, process = first_answer_ms(host.command(), host.port, subprocess.DEVNULL)
    host.process = process
    if is_killed:
        host.kill()
    else:
        host.stop()
    return ms


def compare_start(name, host, prepare, is_killed=True):
    floor = Floor()
    bare, own = [], []
    for _ in range(ROUNDS):
        ms, process = floor.start()
        end(process)
        bare.append(ms)
        prepare()
        own.append(start_once(host, is_killed))
    rated(name, statistics.median(bare), statistics.median(own), "ms", "50 ms")


def start():
    host = neap.Host([bench_client()], variables=QUIET)
    data = os.path.join(host.folder, "data")
    compare_start("ready to accept, empty store", host, lambda: shutil.rmtree(data, ignore_errors=True))
    shutil.rmtree(data, ignore_errors=True)
    host.start()
    fill(host, "done", 0, JOBS)
    host.stop()
    compare_start(f"  with {JOBS} jobs done", host, lambda: None, False)
    host.start()
    fill(host, "held", JOBS, HELD)
    for number in range(200):
        host.post("/demo/scayle/delegation", {"id": number, "orderId": 500000 + number, "shopKey": "fo",
                                              "countryCode": "GB"}, auth=neap.Shop.AUTH)
    host.kill()
    compare_start(f"  after kill -9, {HELD} held and 200 open", host, lambda: None)


# ---- reload ------------------------------------------------------------------------------------


def scripts_of(folder):
    found = []
    for parent, _, names in os.walk(folder):
        found += [os.path.join(parent, name) for name in sorted(names) if name.endswith(".lua")]
    return found


def reload():
    host = neap.Host(["examples/demo"]).start()
    files = scripts_of(os.path.join(ROOT, "examples/demo"))
    for name in ("lib", "connectors", "flows"):
        files += scripts_of(os.path.join(ROOT, "scripts", name))
    bare, own = [], []
    for _ in range(ROUNDS * 3):
        bare.append(int(subprocess.check_output([FLOOR, "scripts", *files])) / 1000)
        before = host.tail(10 ** 7).count("new scripts serve")
        host.signal(1)
        neap.until(lambda: host.tail(10 ** 7).count("new scripts serve") > before, "reloaded")
        own.append(host.metric("neap_reload_microseconds", client="demo") / 1000)
    host.kill()
    rated(f"reload of {len(files)} scripts", statistics.median(bare), statistics.median(own), "ms", "15 ms")


# ---- mirror ------------------------------------------------------------------------------------


def bytes_of(folder):
    return os.stat(os.path.join(folder, "data.mdb")).st_blocks * 512


def floor_mirror():
    folder = os.path.join(neap.new_folder(), "store")
    full = float(subprocess.check_output([FLOOR, "mirror", folder, str(CODES)]))
    size = bytes_of(folder)
    delta = [float(subprocess.check_output([FLOOR, "delta", folder, str(CODES // 100)])) for _ in range(ROUNDS)]
    return full, size, statistics.median(delta)


class Health:
    """The longest another client's question waited, asked all the time."""

    def __init__(self, host):
        self.host = host
        self.waits = []

    def ask(self):
        began = time.monotonic()
        self.host.get("/healthz", timeout_s=60)
        self.waits.append((time.monotonic() - began) * 1000)


class StockServer:
    """tests/bench/stock_server.py as a process."""

    def __init__(self, is_shuffled):
        self.port = neap.free_port()
        self.process = subprocess.Popen([sys.executable, os.path.join(ROOT, "tests/bench/stock_server.py"),
                                         str(self.port), str(CODES), "1" if is_shuffled else "0"])
        neap.until(self.is_up, "the stock server answers")

    def ask(self, path, body=None):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", body, timeout=60) as answer:
            return json.load(answer)

    def is_up(self):
        try:
            return self.ask("/asked") == []
        except OSError:
            return False

    def asked(self):
        return self.ask("/asked")

    def change(self, count):
        self.ask("/change", str(count).encode())


def mirror_done(host):
    try:
        return host.metric("neap_done_total", client="demo")
    except OSError:
        return 0  # it is starting


def run_mirror(host, health, server):
    """One run of the mirror: from the list being asked for to the job's end, ms; peak memory, MB."""
    asked, done = len(server.asked()), mirror_done(host)
    neap.until(lambda: len(server.asked()) > asked, "the list is asked for", 600)
    began, peak = server.asked()[asked], 0.0
    while mirror_done(host) == done:
        health.ask()
        peak = max(peak, anonymous_mb(host.process.pid))
        if host.metric("neap_failed_total", client="demo") > 0:
            raise AssertionError("the mirror failed: " + host.tail(1000))
        time.sleep(0.002)
    return (time.monotonic() - began) * 1000, peak


def mirror(is_shuffled=True):
    bare_full, bare_size, bare_delta = floor_mirror()
    server = StockServer(is_shuffled)
    host = neap.Host(["tests/bench/footprint_client"], variables={
        "KHAOS_URL": f"http://127.0.0.1:{server.port}/khaos", "MIRROR_MS": "1000"})
    host.start(wait=False)
    health = Health(host)
    full, peak = run_mirror(host, health, server)
    rated(f"mirror of {CODES} codes, first full list", bare_full, full, "ms", "-")
    row("  anonymous memory (peak)", "-", f"{peak:.1f} MB", "-", "bounded")
    row("  another request waits at most", "-", f"{max(health.waits, default=0):.1f} ms", "-", "not blocked")
    size = bytes_of(os.path.join(host.folder, "data", "demo"))
    rated("  on disk", bare_size / 1e6, size / 1e6, "MB", "200 MB")
    times = []
    health.waits.clear()
    for _ in range(ROUNDS):
        server.change(CODES // 100)
        times.append(run_mirror(host, health, server)[0])
    rated(f"  delta, {CODES // 100} changed", bare_delta, statistics.median(times), "ms", "2500 ms")
    row("  another request waits at most", "-", f"{max(health.waits, default=0):.1f} ms", "-", "not blocked")
    rated("  on disk after the deltas", bare_size / 1e6,
          bytes_of(os.path.join(host.folder, "data", "demo")) / 1e6, "MB", "200 MB")
    host.kill()
    end(server.process)


PARTS = {"memory": memory, "start": start, "reload": reload, "mirror": mirror}


def end_children():
    """Whatever a part that broke off has left behind."""
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as f:
        for pid in f.read().split():
            os.kill(int(pid), 9)


def main():
    atexit.register(end_children)
    if not (os.path.exists(FLOOR) and os.path.exists(os.environ["NEAP_BINARY"])):
        subprocess.check_call(["make", "-s", "-j2", "MODE=release", "all", "build/release/bench/footprint_floor"],
                              cwd=ROOT)
    row("name", "floor", "host", "ratio", "aim")
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()


if __name__ == "__main__":
    main()
