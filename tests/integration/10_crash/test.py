"""kill -9 at random while orders flow: nothing lost, nothing doubled, every delegation answered.

NEAP_KILLS, NEAP_SEED and NEAP_ORDERS choose how long and which chance.
"""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import neap  # noqa: E402
from campaign import Campaign  # noqa: E402

KILLS = int(os.environ.get("NEAP_KILLS", "100"))
SEED = int(os.environ.get("NEAP_SEED", "20261123"))
ORDERS = int(os.environ.get("NEAP_ORDERS", "150"))

campaign = Campaign(SEED, ORDERS)
print(f"# seed {SEED}, {KILLS} kills, {ORDERS} orders; data in {campaign.host.folder}")


def survives():
    """Kills at random while orders are placed all the time; then lets it all end."""
    campaign.start()
    campaign.play(interval_ms=max(20, KILLS * 250 // ORDERS))
    for _ in range(KILLS):
        time.sleep(campaign.random.uniform(0.02, 0.35))
        campaign.host.kill()
        campaign.host.start(wait=campaign.random.random() < 0.7)
    campaign.settle()


try:
    neap.case(f"{KILLS} times kill -9 with orders flowing and faults on: all orders end", survives)
    campaign.check()
finally:
    campaign.stop()
neap.done()
