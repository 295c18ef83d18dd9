"""kill -9 while orders flow: nothing lost, nothing doubled, every delegation answered.

At random, with Khaos's own duplicate protection off and on; then at every named moment (core/base/kill_point.h)
times every kind of effect. NEAP_KILLS, NEAP_SEED and NEAP_ORDERS choose how long and which chance, NEAP_CELLS
which cells of the matrix.
"""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import neap  # noqa: E402
from campaign import Campaign  # noqa: E402

KILLS = int(os.environ.get("NEAP_KILLS", "100"))
SEED = int(os.environ.get("NEAP_SEED", "20261123"))
ORDERS = int(os.environ.get("NEAP_ORDERS", str(KILLS)))


def at_random(seed, kills, orders, has_protection):
    campaign = Campaign(seed, has_protection)
    words = "on" if has_protection else "off"
    print(f"# seed {seed}, {kills} kills, {orders} orders, duplicate protection {words}; data in "
          f"{campaign.host.folder}", flush=True)

    def survives():
        campaign.start()
        campaign.play(orders, max(20, kills * 350 // orders))
        for _ in range(kills):
            time.sleep(campaign.random.uniform(0.02, 0.35))
            campaign.kill_host()
            campaign.start_host(wait=campaign.random.random() < 0.7)
        campaign.settle()

    try:
        neap.case(f"{kills} times kill -9, faults on, duplicate protection {words}: all orders end", survives)
        campaign.check()
    finally:
        campaign.stop()


at_random(SEED, KILLS - KILLS // 2, ORDERS - ORDERS // 2, False)
at_random(SEED + 1, KILLS // 2, ORDERS // 2, True)
neap.done()
