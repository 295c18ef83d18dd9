"""The disk fills up: requests get 503, somebody is told, nothing is lost, and all goes on when there is space.

The data lies on a small file system of the test's own, in a mount namespace that goes with the process.
"""

import errno
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import neap  # noqa: E402

INSIDE = "NEAP_SPACE_INSIDE"
SIZE_MIB = 160
RESERVE_MIB = 64  # core/store: less free disk counts as full


def go_inside():
    """Runs this test again in a mount namespace; returns why it cannot."""
    if os.environ.get(INSIDE):
        return None
    reasons = []
    for flags in ("-m", "-rm"):
        if shutil.which("unshare") is None:
            return "unshare is not installed"
        attempt = ["unshare", flags, "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"]
        result = subprocess.run(attempt, capture_output=True, text=True)
        if result.returncode == 0:
            os.environ[INSIDE] = "1"
            os.execvp("unshare", ["unshare", flags, sys.executable, os.path.abspath(__file__)])
        reasons.append(f"unshare {flags}: {result.stderr.strip()}")
    return "; ".join(reasons)


CANNOT = go_inside()
shop = neap.Shop(variables={"SWEEP_MS": "600000", "MIRROR_MS": "600000"})
disk = neap.new_folder()
placed = []


def mount():
    if CANNOT:
        raise neap.Skip("no file system of one's own can be mounted here: " + CANNOT)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "none", disk], check=True)
    shop.host.folder = disk  # its log stays where it was
    shop.scayle.variables["SANDBOX_RETRY_FACTOR"] = "0.0001"
    shop.start()
    place(3)
    shop.until_right(*placed)


def need_mount():
    if CANNOT:
        raise neap.Skip("as above")


def place(count):
    for _ in range(count):
        placed.append(shop.place("guest", seed=1000 + len(placed)))


def fill(free_mib):
    """Takes all but some of the space, page by page at the end: the host writes meanwhile."""
    with open(os.path.join(disk, "ballast"), "wb", buffering=0) as f:
        for size in (1 << 20, 1 << 12):
            try:
                while shutil.disk_usage(disk).free - (free_mib << 20) >= size:
                    f.write(bytes(size))
            except OSError as err:
                assert err.errno == errno.ENOSPC, err


def until_full():
    # A delegation nobody knows: it would be accepted, were there space.
    numbers = iter(range(800001, 900000))

    def is_refused():
        status, text, headers = shop.delegate({"orderId": next(numbers), "shopKey": "fo", "countryCode": "GB"})
        assert status in (201, 503), (status, text)
        return status == 503 and headers.get("Retry-After")
    neap.until(is_refused, "delegations get 503")


def below_reserve():
    need_mount()
    shop.faults("khaos", {"fault": "delay", "ms": 60})
    place(6)  # some are under way when the space goes
    fill(RESERVE_MIB // 4)
    until_full()
    place(4)
    status, text, _ = shop.host.get("/healthz")
    assert status == 503 and b'"full"' in text, (status, text)
    assert shop.host.status()["full"] is True
    assert "no space left" in shop.host.tail(100000)
    assert shop.host.get("/metrics")[0] == 200
    assert shop.host.process.poll() is None


def space_again():
    need_mount()
    os.remove(os.path.join(disk, "ballast"))
    neap.until(lambda: shop.host.get("/healthz")[0] == 200, "it is healthy again")
    assert "there is space again" in shop.host.tail(100000)
    shop.faults("khaos")
    shop.until_right(*placed)


def to_the_last_byte():
    need_mount()
    shop.faults("khaos", {"fault": "delay", "ms": 60})
    place(6)
    fill(0)
    until_full()
    shop.host.kill()
    shop.host.start(wait=False)  # it may start and say 503, or say why it cannot
    neap.until(lambda: shop.host.process.poll() is not None or answers(), "it serves or ends")
    if shop.host.process.poll() is None:
        assert shop.host.get("/healthz")[0] in (200, 503)
    else:
        assert "space" in shop.host.tail() or "No space" in shop.host.tail(), shop.host.tail()
    os.remove(os.path.join(disk, "ballast"))
    if shop.host.process.poll() is not None:
        shop.host.start()
    neap.until(lambda: shop.host.get("/healthz")[0] == 200, "it is healthy again")
    shop.faults("khaos")
    shop.until_right(*placed)


def answers():
    try:
        return shop.host.get("/healthz")[0]
    except OSError:
        return None


def nothing_lost():
    need_mount()
    summary = shop.ledger("khaos", brief=1)["summary"]
    assert summary["duplicates"] == 0 and summary["amount_differs"] == 0, summary
    summary = shop.ledger("scayle", brief=1)["summary"]
    assert summary["repeat_differs"] == 0 and summary["given_up"] == 0, summary
    assert summary["with_reference"] == summary["orders"] == len(placed), summary
    assert shop.host.status()["jobs"]["dead"] == 0


try:
    neap.case("orders are posted from a small disk", mount)
    neap.case("below the reserve requests get 503 and somebody is told", below_reserve)
    neap.case("with space again all goes on, what was under way too", space_again)
    neap.case("a disk full to the last byte and a kill -9 lose nothing", to_the_last_byte)
    neap.case("nothing is lost or doubled", nothing_lost)
finally:
    shop.stop()
    subprocess.run(["umount", "-l", disk], capture_output=True)
neap.done()
