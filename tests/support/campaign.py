"""A campaign: orders flow with faults on while something ends the host again and again; what must hold then.

The sandboxes run in a process of their own, which does not die with the host. Khaos's own duplicate protection
can be switched off, so that a second import without a look-up in between would be seen.
A test makes a Campaign, starts it, plays orders, hurts the host in its way, and ends with `settle` and `check`.
"""

import json
import random

import neap

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
    def __init__(self, seed, orders):
        self.seed = seed
        self.orders = orders
        self.random = random.Random(seed)
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
            self.control(system, "POST", "faults", {"seed": self.seed, "rules": rules if on else []})

    def start(self, duplicate_protection=False):
        """Sandboxes and host, faults on."""
        self.sandbox.start()
        self.control("khaos", "POST", "settings", {"duplicate_protection": duplicate_protection})
        self.set_faults(True)
        self.host.start()

    def play(self, interval_ms):
        """The shop places all orders, one per interval, while the test goes on."""
        self.control("scayle", "POST", "play", {"seed": self.seed, "count": self.orders, "interval_ms": interval_ms})

    def settle(self, timeout_s=180):
        """Faults off; waits until every order is posted or held."""
        self.set_faults(False)
        neap.until(self.host.is_ready, "the host is ready after its last end")
        neap.until(self.is_settled, "every order is posted or held", timeout_s)

    def stop(self):
        self.host.kill()
        self.sandbox.kill()

    def expectations(self):
        return self.control("scayle", "GET", "expectations")["orders"]

    def is_settled(self):
        expected = self.expectations()
        if len(expected) < self.orders:
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

    def check(self):
        """One case per thing that must hold at the end."""
        neap.case("every order that posts is in Khaos exactly once, to the penny", self.check_once_in_khaos)
        neap.case("every delegation was answered, repeats like the first time", self.check_answered)
        neap.case("every order that waits, waits on the right cause", self.check_held)
        neap.case("no job died", self.check_nothing_dead)

    def check_once_in_khaos(self):
        ledger = self.control("khaos", "GET", "ledger")
        doubled = {r: n for r, n in ledger["references"].items() if n != 1}
        assert not doubled, f"imported more than once: {doubled}"
        totals = {o["reference"]: o["totals"]["gross"] for o in ledger["orders"]}
        for order in self.expectations():
            reference = f"SC{order['order_id']}"
            if order["expect"] == "posted":
                assert totals.get(reference) == order["total_minor"], (reference, totals.get(reference), order)
            else:
                assert reference not in totals, f"{reference} was posted, but {order['expect']}"
        assert ledger["summary"]["amount_differs"] == 0, ledger["summary"]
        assert ledger["summary"]["matched_by_name"] == 0, ledger["summary"]

    def check_answered(self):
        ledger = self.control("scayle", "GET", "ledger")
        for entry in ledger["orders"]:
            assert any(a.get("is_accepted") for a in entry["attempts"]), f"never answered: {entry['order_id']}"
            assert not entry.get("repeat_differs"), f"a repeat was answered differently: {entry['order_id']}"
            assert entry["order_state"] != "order_cancelled", entry["order_id"]

    def check_held(self):
        for order in self.expectations():
            if order["expect"] != "posted":
                code, text = self.host.verb("order", str(order["order_id"]), "--json")
                assert code == 0, text
                causes = [c["cause"] for job in json.loads(text)["jobs"] for c in job["causes"]]
                assert order["expect"].split(":")[1] in causes, (order, causes)

    def check_nothing_dead(self):
        jobs = self.jobs()
        assert jobs["dead"] == 0, jobs
        print(f"# jobs at the end: {jobs}")
