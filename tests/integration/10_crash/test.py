"""kill -9 at random while orders flow: nothing lost, nothing doubled, every delegation answered.

The sandboxes run in another process, which must not die with the host, and misbehave on demand. Khaos's
own duplicate protection is off, so a second import without a look-up in between would be seen.
NEAP_KILLS and NEAP_SEED choose how long and which chance.
"""

import json
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import neap  # noqa: E402

KILLS = int(os.environ.get("NEAP_KILLS", "100"))
SEED = int(os.environ.get("NEAP_SEED", "20261123"))
ORDERS = int(os.environ.get("NEAP_ORDERS", "150"))
FAULTS = {
    "khaos": [
        {"operation": "ImportOrders", "probability": 0.10, "fault": "reset_after", "times": 100000},
        {"operation": "ImportOrders", "probability": 0.10, "fault": "reset_before", "times": 100000},
        {"operation": "ImportCompany", "probability": 0.10, "fault": "reset_after", "times": 100000},
        {"probability": 0.05, "fault": "truncate", "times": 100000},
        {"probability": 0.05, "fault": "500", "times": 100000},
        {"probability": 0.15, "fault": "delay", "ms": 40, "times": 100000},
        {"probability": 0.10, "fault": "multiref", "times": 100000},
    ],
    "scayle": [
        {"operation": "set_reference", "probability": 0.15, "fault": "reset_after", "times": 100000},
        {"operation": "get_order", "probability": 0.05, "fault": "429", "times": 100000},
        {"operation": "delegation", "probability": 0.15, "fault": "duplicate", "ms": 30, "times": 100000},
    ],
}


class Campaign:
    def __init__(self):
        self.random = random.Random(SEED)
        self.sandbox = neap.Host(["examples/sandbox/scayle", "examples/sandbox/khaos"])
        self.host = neap.Host(["examples/demo"], variables={
            "SCAYLE_URL": self.sandbox.url("/scayle/api/admin/v1"),
            "KHAOS_URL": self.sandbox.url("/khaos"),
            "SWEEP_EVERY_MS": "3000", "MIRROR_EVERY_MS": "1000", "RETRY_MS": "100", "KHAOS_SETTLE_MS": "100",
        })
        self.sandbox.variables = {
            "SANDBOX_MERCHANT_URL": self.host.url("/demo"),
            "SANDBOX_LAG_MS": "100", "SANDBOX_RETRY_FACTOR": "0.001",
        }

    def control(self, system, method, path, body=None):
        return self.sandbox.json(method, f"/{system}/_control/{path}", body)

    def set_faults(self, on):
        for system, rules in FAULTS.items():
            self.control(system, "POST", "faults", {"seed": SEED, "rules": rules if on else []})

    def run(self):
        """Kills at random while orders are placed all the time; then lets it all end."""
        self.sandbox.start()
        self.control("khaos", "POST", "settings", {"duplicate_protection": False})
        self.set_faults(True)
        self.host.start()
        interval_ms = max(20, KILLS * 250 // ORDERS)
        self.control("scayle", "POST", "play", {"seed": SEED, "count": ORDERS, "interval_ms": interval_ms})
        for _ in range(KILLS):
            time.sleep(self.random.uniform(0.02, 0.35))
            self.host.kill()
            self.host.start(wait=self.random.random() < 0.7)
        self.set_faults(False)
        neap.until(self.host.is_ready, "the host is ready after the last kill")

    def expectations(self):
        return self.control("scayle", "GET", "expectations")["orders"]

    def is_settled(self):
        expected = self.expectations()
        if len(expected) < ORDERS:
            return False
        references = self.control("khaos", "GET", "ledger?brief=1")["references"]
        for order in expected:
            is_posted = references.get(f"SC{order['order_id']}", 0) >= 1 and order.get("reference_key")
            if not order["delegated"] or (order["expect"] == "posted" and not is_posted):
                return False
        held = sum(1 for o in expected if o["expect"] != "posted")
        jobs = self.jobs()
        return jobs["held"] >= held and jobs["ready"] == 0 and jobs["running"] == 0

    def jobs(self):
        status = json.loads(self.host.verb("status", "--json")[1])
        return {c["client"]: c["jobs"] for c in status}["demo"]

    def stop(self):
        self.host.kill()
        self.sandbox.kill()


campaign = Campaign()
print(f"# seed {SEED}, {KILLS} kills, {ORDERS} orders; data in {campaign.host.folder}")


def survives():
    campaign.run()
    neap.until(campaign.is_settled, "every order is posted or held", 180)


def once_in_khaos():
    ledger = campaign.control("khaos", "GET", "ledger")
    doubled = {r: n for r, n in ledger["references"].items() if n != 1}
    assert not doubled, f"imported more than once: {doubled}"
    totals = {o["reference"]: o["totals"]["gross"] for o in ledger["orders"]}
    for order in campaign.expectations():
        reference = f"SC{order['order_id']}"
        if order["expect"] == "posted":
            assert totals.get(reference) == order["total_minor"], (reference, totals.get(reference), order)
        else:
            assert reference not in totals, f"{reference} was posted, but {order['expect']}"
    assert ledger["summary"]["amount_differs"] == 0, ledger["summary"]
    assert ledger["summary"]["matched_by_name"] == 0, ledger["summary"]


def answered():
    ledger = campaign.control("scayle", "GET", "ledger")
    for entry in ledger["orders"]:
        assert any(a.get("is_accepted") for a in entry["attempts"]), f"never answered: {entry['order_id']}"
        assert not entry.get("repeat_differs"), f"a repeat was answered differently: {entry['order_id']}"
        assert entry["order_state"] != "order_cancelled", entry["order_id"]


def held_right():
    for order in campaign.expectations():
        if order["expect"] != "posted":
            code, text = campaign.host.verb("order", str(order["order_id"]), "--json")
            assert code == 0, text
            causes = [c["cause"] for job in json.loads(text)["jobs"] for c in job["causes"]]
            assert order["expect"].split(":")[1] in causes, (order, causes)


def nothing_dead():
    jobs = campaign.jobs()
    assert jobs["dead"] == 0, jobs
    print(f"# jobs at the end: {jobs}")


try:
    neap.case(f"{KILLS} times kill -9 with orders flowing and faults on: all orders end", survives)
    neap.case("every order that posts is in Khaos exactly once, to the penny", once_in_khaos)
    neap.case("every delegation was answered, repeats like the first time", answered)
    neap.case("every order that waits, waits on the right cause", held_right)
    neap.case("no job died", nothing_dead)
finally:
    campaign.stop()
neap.done()
