"""Measures reports over many orders: python3 measure.py [COUNT]. Prints, asserts nothing but that all is the same."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import neap  # noqa: E402

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 1000

shop = neap.Shop(variables={"CONCURRENT": "32", "SWEEP_MS": "3600000", "MIRROR_MS": "3600000"})
shop.start()
try:
    begun = time.monotonic()
    for part in range(0, COUNT, 50):
        shop.control("scayle", "POST", "play", {"seed": part, "interval_ms": 0, "kinds": ["plain", "multi_unit"] * 25})
    while shop.host.status()["jobs"]["done"] < COUNT or any(
            shop.host.status()["jobs"][s] for s in ("ready", "running", "waiting")):
        time.sleep(5)  # looking costs
    print(f"{COUNT} orders placed and posted in {time.monotonic() - begun:.0f} s")
    shop.host.stop()
    for words in (("replay", "--since", "2020-01-01", "--folder", shop.folder), ("reconcile",),
                  ("reconcile", "--xlsx", os.path.join(neap.new_folder(), "r.xlsx"))):
        begun = time.monotonic()
        code, text = neap.run(*words, "--data", os.path.join(shop.host.folder, "data"), timeout_s=3600)
        print(f"neap {words[0]}{' --xlsx' if '--xlsx' in words else ''}: {time.monotonic() - begun:.1f} s, exit code {code}")
        print("  " + "\n  ".join(text.splitlines()[:8]))
    size = os.path.getsize(os.path.join(shop.host.folder, "data", "demo", "data.mdb"))
    print(f"store: {size / COUNT / 1024:.1f} KiB an order")
finally:
    shop.stop()
