#!/usr/bin/env python3
"""Reports over recorded orders, in CPU time: the aim of replay is 10,000 orders in under a minute.

    tests/bench/replay_bench.py [ORDERS]       default 1000; the figure is for 10,000

The orders are placed in the sandbox and posted as ever, so the records are real ones; then the host stops and
each report runs alone. Asserts nothing but that a replay by the same scripts finds no difference.
"""

import os
import resource
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
import neap  # noqa: E402

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
AIM_ORDERS = 10000
AIM_S = 60
KINDS = ["plain", "multi_unit"]

shop = neap.Shop(variables={"CONCURRENT": "32", "SWEEP_MS": "3600000", "MIRROR_MS": "3600000"})


def row(name, floor, host, ratio, aim):
    print(f"{name:<44} | {floor:>12} | {host:>12} | {ratio:>7} | {aim}", flush=True)


def cpu_of(*words):
    """CPU seconds of one verb on the stopped host's data, and what it said."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code, text = neap.run(*words, "--data", os.path.join(shop.host.folder, "data"), timeout_s=3600)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, code, text


def place_all():
    def jobs():
        return shop.host.status()["jobs"]
    for part in range(0, COUNT, 50):
        shop.control("scayle", "POST", "play", {"seed": part, "interval_ms": 0,
                                                "kinds": KINDS * (min(50, COUNT - part) // len(KINDS))})
    while jobs()["done"] < COUNT or any(jobs()[state] for state in ("ready", "running", "waiting")):
        time.sleep(2)  # looking costs


def measure(name, *words):
    begun = time.monotonic()
    spent, code, text = cpu_of(*words)
    assert code == 0, text[-500:]
    for_all = spent * AIM_ORDERS / COUNT
    row(f"{name}: {AIM_ORDERS} recorded orders", f"{AIM_S:.1f} s", f"{for_all:.1f} s", f"{for_all / AIM_S:.2f}",
        f"below 1 (CPU; of {COUNT}: {spent:.1f} s CPU, {time.monotonic() - begun:.1f} s)")


shop.start()
try:
    place_all()
    shop.host.stop()
    measure("neap replay", "replay", "--since", "2020-01-01", "--folder", shop.folder)
    measure("neap reconcile", "reconcile")
finally:
    shop.stop()
