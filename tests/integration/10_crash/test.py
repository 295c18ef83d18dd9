"""kill -9 while orders flow: nothing lost, nothing doubled, every delegation answered.

At random, with Khaos's own duplicate protection off and on; then at every named moment (core/base/kill_point.h)
times every kind of effect that the scripts declare. NEAP_KILLS, NEAP_SEED and NEAP_ORDERS choose how long and which
chance, NEAP_CELLS which cells of the matrix (a part of their names; "none"), NEAP_WIDE=1 all of them.
"""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import aftersales  # noqa: E402
import alerts  # noqa: E402
import amendments  # noqa: E402
import cloud  # noqa: E402
import fulfilment  # noqa: E402
import matrix  # noqa: E402
import neap  # noqa: E402
import variants  # noqa: E402
from campaign import Campaign  # noqa: E402
from sends import SENDS, unproven_sends  # noqa: E402
from warehouse import Warehouse  # noqa: E402

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
            ([call(2, look_up, run=0, **absent)], False),  # somebody else asked
            ([call(2, "ImportOrders", is_late=True)], False)):
        log = [call(1, "ImportOrders"), *between, call(3, "ImportOrders", run=2)]
        assert bool(unproven_sends(log, {1: 50}, "khaos")) != is_allowed, between
    for status, is_allowed in ((429, True), (400, True), (408, False), (500, False)):
        log = [call(1, "ImportOrders", status=status), call(3, "ImportOrders")]
        assert bool(unproven_sends(log, {}, "khaos")) != is_allowed, status
    # "Absent" was asked too early when the import that was put off happens after it, whenever the second one goes.
    send, late, happens = "ImportOrders", {"faults": ["late"]}, {"is_late": True}
    for first, then, is_allowed in (
            (late, [call(2, look_up, **absent), call(3, send, **happens), call(4, send)], False),
            (late, [call(2, look_up, **absent), call(3, send), call(4, send, **happens)], False),
            ({}, [call(2, look_up, **absent), call(3, send, **late), call(4, send, **happens)], True),
            (late, [call(2, send, **happens), call(3, look_up, **there)], True)):
        log = [call(1, send, **first), *then]
        assert bool(unproven_sends(log, {}, "khaos")) != is_allowed, log


def report(number, operation, run=1, **fields):
    """A line of SCAYLE's log: a report on unit 7."""
    return {**call(number, operation, run, status=204), "subjects": ["7"], **fields}


def the_rule_knows_units():
    """The same of what SCAYLE is told: the order that was read shows the unit. It counts also where the repeat was
    refused, or taken and did nothing."""
    for send in (send for send in SENDS if send.look_up == "get_order"):
        done = {"ship": "shipped", "cancel": "cancelled", "return_items": "returned"}[send.operation]
        for between, is_allowed in (
                ([], False),
                ([report(2, "get_order", subjects=[], units={"7": "delegated"})], True),
                ([report(2, "get_order", subjects=[], units={"7": done})], False),
                ([report(2, "get_order", subjects=[], units={"8": "delegated"})], False),
                ([report(2, "get_order", subjects=[], units={"7": "delegated"}, rude="truncate")], False),
                ([report(2, "get_order", subjects=[], units={"7": "delegated"}, run=0)], False),
                ([report(2, "get_order", subjects=[], status=500)], False),
                ([report(2, "list_orders", subjects=[])], False)):
            for status in (204, 409):
                log = [report(1, send.operation), *between, report(3, send.operation, run=2, status=status)]
                assert bool(unproven_sends(log, {1: 50}, "scayle")) != is_allowed, log
        other = [report(1, send.operation), report(2, send.operation, subjects=["8"])]
        assert not unproven_sends(other, {}, "scayle"), other
        for status, is_allowed in ((429, True), (404, True), (409, False), (400, False), (500, False)):
            log = [report(1, send.operation, status=status), report(2, send.operation)]
            assert bool(unproven_sends(log, {}, "scayle")) != is_allowed, log
    for shown, is_allowed in ((False, True), (True, False)):
        log = [call(1, "CancelOrder"), call(2, "ExportOrderStatusEx", found={"R": True}, cancelled={"R": shown}),
               call(3, "CancelOrder", run=2)]
        assert bool(unproven_sends(log, {}, "khaos")) != is_allowed, log
        log = [call(1, "create_variant"), call(2, "get_variant", status=200 if shown else 404, found={"R": shown}),
               call(3, "create_variant", run=2)]
        assert bool(unproven_sends(log, {}, "scayle")) != is_allowed, log


def at_random(seed, kills, orders, has_protection):
    campaign = Campaign(seed, has_protection, variables={
        "DESPATCH_EVERY_MS": "300", "STOCK_POLL_MS": "400", "STOCK_SEND_MS": "300", "CANCEL_ADD_ON": "1",
        "CANCEL_LOOK_MS": "2000", "RETURNS_SWEEP_MS": "5000"})
    campaign.sandbox.variables["SANDBOX_WEBHOOK_PATH"] = "/scayle/webhook"
    warehouse = Warehouse(campaign)
    words = "on" if has_protection else "off"
    print(f"# seed {seed}, {kills} kills, {orders} orders, duplicate protection {words}; data in "
          f"{campaign.host.folder}", flush=True)

    def kill(times):
        for _ in range(times):
            time.sleep(campaign.random.uniform(0.02, 0.35))
            campaign.kill_host()
            warehouse.act_at_random(campaign.random)
            campaign.start_host(wait=campaign.random.random() < 0.7)
            warehouse.act_at_random(campaign.random)

    def survives():
        campaign.start()
        campaign.control("khaos", "POST", "settings", {"paid_add_ons": True})
        campaign.control("scayle", "POST", "settings", {"repeat_conflicts": has_protection, "rate_limits": {
            "ordersRead": 1000000, "fulfillmentWrite": 1000000}})
        campaign.play(orders, max(20, kills * 175 // orders))  # the second half of the kills meets units
        kill(kills - kills // 2)
        neap.until(campaign.has_flowed, "every order is posted or held", 180)
        kill(kills // 2)
        campaign.settle()

    def units_end():
        neap.until(warehouse.ask_again, "every wish to cancel is answered", 120)
        neap.until(lambda: warehouse.clear_desk() and not warehouse.differences(), "SCAYLE shows what Khaos did", 120)
        campaign.settle()
        print(f"# done by people: {dict(warehouse.done)}", flush=True)

    try:
        neap.case(f"{kills} times kill -9, faults on, duplicate protection {words}: all orders end (seed {seed})",
                  survives)
        neap.case("all parcels, cancellations and returns end", units_end)
        neap.case("every unit is in SCAYLE what Khaos and the shop made of it", warehouse.check_units)
        neap.case("every parcel, cancelled and returned unit was told once", warehouse.check_told_once)
        neap.case("every wish to cancel was answered with the truth", warehouse.check_answers)
        neap.case("the shop sells what Khaos has, less what is held", warehouse.check_stock)
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


def every_site_has_cells():
    matrix.check_effects([*matrix.cells(), *sum(fulfilment.phases_of_cells(), []), *aftersales.cells_of(""),
                          *variants.cells_of(""), *amendments.cells_of(""), *alerts.all_cells()])


neap.case("the rule about second imports tells good logs from bad ones", the_rule_can_fail)
neap.case("and those about units, cancelled orders and variants", the_rule_knows_units)
neap.case("every place where a script declares an effect has cells", every_site_has_cells)
CELLS = os.environ.get("NEAP_CELLS", "")
if CELLS != "none":
    at_named_moments(SEED, CELLS)
    fulfilment.at_named_moments(SEED + 2, CELLS)
    aftersales.at_named_moments(SEED + 3, CELLS)
    variants.at_named_moments(SEED + 4, CELLS)
    amendments.at_named_moments(SEED + 5, CELLS)
    alerts.at_named_moments(SEED + 6, CELLS)
    cloud.at_named_moments(SEED + 7, CELLS)
if KILLS > 0:
    at_random(SEED, KILLS - KILLS // 2, ORDERS - ORDERS // 2, False)
    at_random(SEED + 1, KILLS // 2, ORDERS // 2, True)
neap.done()
