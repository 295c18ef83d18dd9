"""kill -9 while orders flow: nothing lost, nothing doubled, every delegation answered.

At random, with Khaos's own duplicate protection off and on; then at every named moment (core/base/kill_point.h)
times every kind of effect that the scripts declare. NEAP_KILLS, NEAP_SEED and NEAP_ORDERS choose how long and which
chance, NEAP_CELLS which cells of the matrix (a part of their names; "none").
"""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import fulfilment  # noqa: E402
import matrix  # noqa: E402
import neap  # noqa: E402
from campaign import Campaign, unproven_sends  # noqa: E402

KILLS = int(os.environ.get("NEAP_KILLS", "100"))
SEED = int(os.environ.get("NEAP_SEED", "20261123"))
ORDERS = int(os.environ.get("NEAP_ORDERS", str(KILLS)))


def call(number, operation, run=1, **fields):
    """A line of Khaos's log about reference R."""
    return {"number": number, "at_ms": number * 10, "operation": operation, "run": str(run), "status": 200,
            "subjects": ["R"], **fields}


def the_rule_can_fail():
    """Made-up logs: [look-up or other call in between] -> whether the second import was allowed."""
    absent, there = {"found": {"R": False}}, {"found": {"R": True}}
    look_up = "ExportOrderStatusEx"
    for between, is_allowed in (
            ([], False),
            ([call(2, look_up, **absent)], True),
            ([call(2, look_up, **there)], False),
            ([call(2, look_up, **absent, rude="truncate")], False),
            ([call(2, look_up, fault="away")], False),
            ([call(2, look_up, **absent, delay_ms=40)], False),  # the answer left when run 1 was dead
            ([call(2, look_up, run=2, **absent, delay_ms=40)], True),
            ([call(2, "ExportCompany", **absent)], False),
            ([call(2, "ImportOrders", is_late=True)], False)):
        log = [call(1, "ImportOrders"), *between, call(3, "ImportOrders", run=2)]
        assert bool(unproven_sends(log, {1: 50})) != is_allowed, between
    for status, is_allowed in ((429, True), (400, True), (408, False), (500, False)):
        log = [call(1, "ImportOrders", status=status), call(3, "ImportOrders")]
        assert bool(unproven_sends(log, {})) != is_allowed, status
    # "Absent" was asked too early when the import that was put off happens after it, whenever the second one goes.
    send, late, happens = "ImportOrders", {"faults": ["late"]}, {"is_late": True}
    for first, then, is_allowed in (
            (late, [call(2, look_up, **absent), call(3, send, **happens), call(4, send)], False),
            (late, [call(2, look_up, **absent), call(3, send), call(4, send, **happens)], False),
            ({}, [call(2, look_up, **absent), call(3, send, **late), call(4, send, **happens)], True),
            (late, [call(2, send, **happens), call(3, look_up, **there)], True)):
        log = [call(1, send, **first), *then]
        assert bool(unproven_sends(log, {})) != is_allowed, log


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
        neap.case(f"{kills} times kill -9, faults on, duplicate protection {words}: all orders end (seed {seed})",
                  survives)
        campaign.check()
    finally:
        campaign.stop()


def at_named_moments(seed, wanted):
    campaign = Campaign(seed)
    cells = [cell for cell in matrix.cells() if wanted in cell.name]
    if not cells:
        return
    campaign.random.shuffle(cells)
    print(f"# seed {seed}, {len(cells)} named moments; data in {campaign.host.folder}", flush=True)

    def come():
        matrix.check_names(neap.BINARY)
        matrix.check_effects()
        campaign.start_sandbox()
        missing = []
        for cell in cells:
            if not matrix.run_cell(campaign, cell):
                missing.append(cell.name)
        campaign.set_faults({})
        campaign.start_host()
        print(f"# seed {seed}: {len(cells) - len(missing)} of {len(cells)} moments came, {campaign.placed} orders",
              flush=True)
        assert not missing, f"moments that never came: {missing}"

    try:
        neap.case("kill -9 at every named moment times every kind of effect on an order's way: each of them comes "
                  f"(seed {seed})", come)
        neap.case("all orders end", campaign.settle)
        campaign.check()
    finally:
        campaign.stop()


neap.case("the rule about second imports tells good logs from bad ones", the_rule_can_fail)
CELLS = os.environ.get("NEAP_CELLS", "")
if CELLS != "none":
    at_named_moments(SEED, CELLS)
    fulfilment.at_named_moments(SEED + 2, CELLS)
if KILLS > 0:
    at_random(SEED, KILLS - KILLS // 2, ORDERS - ORDERS // 2, False)
    at_random(SEED + 1, KILLS // 2, ORDERS // 2, True)
neap.done()
