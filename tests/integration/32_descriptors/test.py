"""File descriptors run out: callers are told so or wait, the host's own work goes on, nothing is lost or spins."""

import os
import re
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import neap  # noqa: E402

LIMIT = 128
shop = neap.Shop(variables={"SWEEP_MS": "1000", "GRACE_MS": "1000", "MIRROR_MS": "600000"})
shop.host.prefix = ["prlimit", f"--nofile={LIMIT}:{LIMIT}"]


def connect(count):
    return [socket.create_connection(("127.0.0.1", shop.host.port), timeout=10) for _ in range(count)]


def hold_a_request(s):
    """Half a request: this connection is not idle, nobody may close it to make room."""
    s.sendall(b"POST /demo/scayle/delegation HTTP/1.1\r\nHost: x\r\n")


def open_descriptors():
    return len(os.listdir(f"/proc/{shop.host.process.pid}/fd"))


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_quiet(span_s=3):
    before = cpu_s(shop.host.process.pid)
    time.sleep(span_s)
    used = cpu_s(shop.host.process.pid) - before
    assert used < span_s / 3, f"{used:.2f} s of CPU in {span_s} s"


def idle_callers():
    """Hundreds who say nothing: they give way to whoever asks something."""
    idle = connect(300)
    try:
        assert shop.host.get("/healthz")[0] == 200
        shop.until_right(shop.place("guest", seed=1))
        assert open_descriptors() < LIMIT - 20, open_descriptors()
        is_quiet()
    finally:
        for s in idle:
            s.close()


def busy_callers():
    """As many who have begun a request: the next one gets 503 and tries again; the flows go on meanwhile."""
    busy = connect(200)
    try:
        for s in busy:
            try:
                hold_a_request(s)
            except OSError:
                pass
        time.sleep(0.5)
        refused = 0
        for s in connect(5):
            got = b""
            try:
                s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                got = s.recv(4096)
            except OSError:
                pass
            refused += got.startswith(b"HTTP/1.1 503 ") and b"Retry-After" in got
            s.close()
        assert refused > 0
        order = shop.place("guest", seed=2)  # its delegation finds no connection: the sweep finds the order
        neap.until(lambda: is_posted(order), "the sweep found it and it was posted", 30)
        is_quiet()
    finally:
        for s in busy:
            s.close()
    neap.until(lambda: is_served(), "somebody is served again")
    assert shop.host.metric("neap_http_refused_total", status="503") > 0
    shop.until_right(order, shop.place("guest", seed=3))


def is_posted(order):
    found = shop.host.order(order["order_id"])
    return found and any("Khaos took it" in line["text"] for line in found["timeline"])


def is_served():
    try:
        return shop.host.get("/healthz")[0] == 200
    except OSError:
        return False


def none_left():
    """The limit falls below what is open: accepting and sending fail for a while, and both are waited out."""
    pid = shop.host.process.pid
    subprocess.run(["prlimit", f"--pid={pid}", f"--nofile=1:{LIMIT}"], check=True)
    ours = connect(3)  # the kernel takes them, nobody accepts them
    path = os.path.join(shop.host.folder, "data", "neap.sock")
    verb = socket.socket(socket.AF_UNIX)
    verb.connect(path)
    order = shop.place("guest", seed=4)
    size = os.path.getsize(shop.host.log_path)
    is_quiet(4)
    with open(shop.host.log_path, "rb") as f:
        said = f.read()[size:].decode()
    assert len(re.findall("cannot accept", said)) <= 4, said
    subprocess.run(["prlimit", f"--pid={pid}", f"--nofile={LIMIT}:{LIMIT}"], check=True)
    for s in [*ours, verb]:
        s.close()
    neap.until(is_served, "it accepts again")
    shop.until_right(order)
    assert shop.host.metric("neap_accept_failures_total") > 0
    assert shop.host.metric("neap_descriptors_max") == LIMIT
    assert 0 < shop.host.metric("neap_descriptors_open") < LIMIT
    assert not shop.host.exceptions("connection_down"), "our own lack is not the other side's"


def nothing_wrong():
    summary = shop.ledger("khaos", brief=1)["summary"]
    assert summary["duplicates"] == 0 and summary["amount_differs"] == 0, summary
    jobs = shop.host.status()["jobs"]
    assert jobs["dead"] == 0, jobs


try:
    shop.start()
    neap.case("hundreds of idle connections give way to who asks", idle_callers)
    neap.case("hundreds of begun requests: the next gets 503, the flows go on", busy_callers)
    neap.case("with no descriptor left nothing spins or is lost, and it goes on by itself", none_left)
    neap.case("at the end nothing is doubled or dead", nothing_wrong)
finally:
    shop.stop()
neap.done()
