"""A campaign: orders flow with faults on while something ends the host again and again; what must hold then.

The sandboxes run in a process of their own, which does not die with the host. Khaos's own duplicate protection
can be switched off, so that a second import without a look-up in between would be seen; the rule itself
(`sends.py`) is checked in either case, from the sandboxes' logs of calls.

A test makes a Campaign, starts it, lets orders flow (play, place), hurts the host in its way, and ends with
`settle` and `check`.
"""

import os
import random
import shutil
import signal
import time

import neap
import sends

SETTLE_MS = 500  # of the Khaos connection: longer than what the fault "late" puts off, and then some
TIMEOUT_MS = 4000
ALWAYS = 1000000

FAULTS = {
    "khaos": [
        {"operation": "ImportOrders", "probability": 0.08, "fault": "reset_after", "times": ALWAYS},
        {"operation": "ImportOrders", "probability": 0.08, "fault": "reset_before", "times": ALWAYS},
        {"operation": "ImportOrders", "probability": 0.05, "fault": "late", "ms": 100, "times": ALWAYS},
        {"operation": "ImportOrders", "probability": 0.02, "fault": "delay", "ms": 5000, "times": ALWAYS},
        {"operation": "ImportCompany", "probability": 0.08, "fault": "reset_after", "times": ALWAYS},
        {"operation": "ImportCompany", "probability": 0.08, "fault": "reset_before", "times": ALWAYS},
        {"operation": "ImportCompany", "probability": 0.05, "fault": "late", "ms": 100, "times": ALWAYS},
        {"operation": "CancelOrder", "probability": 0.15, "fault": "reset_after", "times": ALWAYS},
        {"operation": "CancelOrder", "probability": 0.15, "fault": "reset_before", "times": ALWAYS},
        {"operation": "ExportOrderStatusEx", "probability": 0.10, "fault": "truncate", "times": ALWAYS},
        {"operation": "ExportCompany", "probability": 0.10, "fault": "truncate", "times": ALWAYS},
        {"probability": 0.03, "fault": "truncate", "times": ALWAYS},
        {"probability": 0.05, "fault": "500", "times": ALWAYS},
        {"probability": 0.02, "fault": "fault_any_status", "times": ALWAYS},
        {"probability": 0.15, "fault": "delay", "ms": 40, "times": ALWAYS},
        {"probability": 0.10, "fault": "multiref", "times": ALWAYS},
    ],
    "scayle": [
        {"operation": "set_reference", "probability": 0.15, "fault": "reset_after", "times": ALWAYS},
        {"operation": "set_reference", "probability": 0.05, "fault": "500", "times": ALWAYS},
        {"operation": "get_order", "probability": 0.05, "fault": "500", "times": ALWAYS},
        {"operation": "get_order", "probability": 0.05, "fault": "truncate", "times": ALWAYS},
        *({"operation": operation, "probability": probability, "fault": fault, "times": ALWAYS}
          for operation in ("ship", "cancel", "return_items")
          for fault, probability in (("reset_after", 0.1), ("reset_before", 0.1), ("500", 0.05), ("429", 0.02))),
        {"operation": "delegation", "probability": 0.15, "fault": "duplicate", "ms": 30, "times": ALWAYS},
    ],
}

RUN = '["X-Run"] = var("RUN", "0")'
# Each request says which run of the host it is of; SCAYLE is asked soon; Khaos's add-on and a person's approval where
# a test wants them.
CHANGES = {
    'base_url = var("KHAOS_URL"':
        f'headers = {{{RUN}}},\n            timeout_ms = {TIMEOUT_MS},\n            base_url = var("KHAOS_URL"',
    'ean_field = "other_ref",': 'ean_field = "other_ref", create = {mode = var("PRODUCTS_CREATE", "off")},\n'
        '            mapping = require("mappings.products"),',
    "rate_per_s = 15,": "settle_ms = 100, rate_per_s = 15,",
    'headers = {["X-Access-Token"]': f'headers = {{{RUN}, ["X-Access-Token"]',
    'settings = {merchant_key = "fellside",\n            khaos = KHAOS}}':
        'settings = {merchant_key = "fellside",\n'
        '            look_after_ms = tonumber(var("CANCEL_LOOK_MS", "600000")),\n'
        '            warehouse_ids = var("TWO_WAREHOUSES", "") ~= "" and {31, 32} or nil,\n'
        '            wait_ms = tonumber(var("CANCEL_WAIT_MS", "10000")),\n'
        '            khaos = var("CANCEL_ADD_ON", "") == "" and KHAOS\n'
        '            or {kind = KHAOS.kind, push_age_ms = KHAOS.push_age_ms, add_ons = {"cancel_order"}}}}',
    'khaos = KHAOS,\n            shops = SHOPS,\n            khaos_return_reason':
        'credit_wait_ms = tonumber(var("CREDIT_WAIT_MS", "86400000")),\n'
        '            khaos = var("RETURN_ADD_ON", "") == "" and KHAOS or {kind = KHAOS.kind,\n'
        '                push_age_ms = KHAOS.push_age_ms, add_ons = {"process_return"}},\n'
        '            shops = SHOPS,\n            khaos_return_reason',
    'khaos = KHAOS,\n            shops = SHOPS,\n            despatch_promise':
        'khaos = var("AMEND_ADD_ON", "") == "" and KHAOS\n'
        '            or {kind = KHAOS.kind, push_age_ms = KHAOS.push_age_ms, add_ons = {"amend_order"}},\n'
        '            shops = SHOPS,\n            despatch_promise',
    'approval = "rule"}': 'approval = var("APPROVAL", "rule")}',
}

# Every second order is a guest's: a customer of its own, so that both imports go on to the end.
GUEST_SHARE = 0.5
HELD_SHARE = 0.15


def now_ms():
    return time.time() * 1000


def client_folder(more):
    """The demo's client, changed as CHANGES and more say."""
    folder = os.path.join(neap.new_folder(), "demo")
    shutil.copytree(os.path.join(neap.ROOT, "examples/demo"), folder)
    path = os.path.join(folder, "client.lua")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for old, new in {**CHANGES, **more}.items():
        assert text.count(old) == 1, (path, old)
        text = text.replace(old, new)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return folder


def is_behind_held(job, jobs):
    """A webhook's job that cannot run before an older one of its order, which is held."""
    return (job["state"] == "ready" and job["source"] == "scayle.webhook"
            and any(other["state"] == "held" and other["id"] < job["id"] for other in jobs))


class Campaign:
    def __init__(self, seed, duplicate_protection=False, variables=None, changes=None):
        self.seed = seed
        self.random = random.Random(seed)
        self.has_protection = duplicate_protection
        self.placed = 0
        self.expected_orders = 0
        self.run = 0
        self.deaths = {}
        self.ended_by_people = set()  # orders that somebody cancelled or dismissed: they may end unposted
        self.wanted_cancelled = set()  # those of them whose shoppers asked
        self.unplanned = []  # ends of the host that nobody brought about
        self.sandbox = neap.Host(["examples/sandbox/scayle", "examples/sandbox/khaos"])
        self.host = neap.Host([client_folder(changes or {})], variables={
            "SCAYLE_URL": self.sandbox.url("/scayle/api/admin/v1"),
            "KHAOS_URL": self.sandbox.url("/khaos"), "KHAOS_SETTLE_MS": str(SETTLE_MS),
            "SWEEP_EVERY_MS": "3000", "MIRROR_EVERY_MS": "1000", "RETRY_MS": "100", "FAULT_WAIT_MS": "50",
            "CANCEL_SETTLE_MS": "50",
            **(variables or {}),
        })
        self.sandbox.variables = {
            "SANDBOX_MERCHANT_URL": self.host.url("/demo"),
            "SANDBOX_LAG_MS": "50", "SANDBOX_RETRY_FACTOR": "0.001",
        }

    def control(self, system, method, path, body=None):
        return self.sandbox.json(method, f"/{system}/_control/{path}", body)

    # ---- going on ----

    def start_sandbox(self):
        self.sandbox.start()
        self.control("khaos", "POST", "settings", {"duplicate_protection": self.has_protection})

    def start(self):
        """Sandboxes and host, faults on."""
        self.start_sandbox()
        self.set_faults(FAULTS)
        self.start_host()

    def take_away(self):
        """The other systems are gone, until they are brought back."""
        self.sandbox.kill()

    def bring_back(self):
        self.start_sandbox()

    def set_faults(self, rules):
        for system in ("khaos", "scayle"):
            self.control(system, "POST", "faults", {"seed": self.seed, "rules": rules.get(system, [])})

    def start_host(self, wait=True, kill_at=None):
        self.run += 1
        self.host.variables["RUN"] = str(self.run)
        self.host.environment = {"NEAP_KILL_AT": kill_at} if kill_at else {}
        self.host.start(wait)

    def kill_host(self):
        """kill -9, or nothing when a kill point was faster; any other end before is the host's own."""
        code = self.host.process.poll()
        if code not in (None, -signal.SIGKILL):
            self.unplanned.append(f"run {self.run} ended by itself with {code}: {self.host.tail(1500)}")
        self.host.kill()
        self.note_death()

    def check_alive(self):
        code = self.host.process.poll()
        assert code is None, f"run {self.run} ended by itself with {code}: {self.host.tail(1500)}"

    def note_death(self):
        """The host is known to be dead by now."""
        self.deaths[self.run] = now_ms()

    def plan(self, count):
        """Kinds of orders, many of whose customers are new to Khaos."""
        kinds = self.control("scayle", "GET", "kinds")
        chosen = []
        for _ in range(count):
            draw = self.random.random()
            if draw < HELD_SHARE:
                chosen.append(self.random.choice(kinds["held"]))
            elif draw < HELD_SHARE + GUEST_SHARE:
                chosen.append("guest")
            else:
                chosen.append(self.random.choice(kinds["good"]))
        return chosen

    def play(self, count, interval_ms):
        """The shop places orders, one per interval, while the test goes on."""
        kinds = self.plan(count)
        self.expected_orders += count
        self.control("scayle", "POST", "play", {"seed": self.seed, "count": count, "interval_ms": interval_ms,
                                                "kinds": kinds})

    def place(self, kind, **more):
        """Places one order, now."""
        self.placed += 1
        self.expected_orders += 1
        return self.control("scayle", "POST", "orders", {
            "kind": kind, "seed": self.seed * 10000 + self.placed, **more})

    def settle(self, timeout_s=180):
        """Waits, faults still on, until every order is posted or held; then, faults off, until nothing is under way."""
        neap.until(self.host.is_ready, "the host is ready after its last end")
        neap.until(self.has_flowed, "every order is posted or held", timeout_s)
        self.set_faults({})
        neap.until(self.is_settled, "nothing is under way", timeout_s)

    def rest(self, **variables):
        """What the last ends have left comes to its end, faults off."""
        before = dict(self.host.variables)
        self.host.variables.update(variables)
        self.set_faults({})
        self.start_host()
        neap.until(lambda: (self.at_rest() or {}).get("open_effects") == 0, "nothing is under way", 60)
        self.kill_host()
        self.host.variables = before

    def stop(self):
        self.host.kill()
        self.sandbox.kill()

    # ---- seen from outside ----

    def expectations(self):
        return self.control("scayle", "GET", "expectations")["orders"]

    def undisturbed(self):
        """What must become of the orders that nobody cancelled or dismissed."""
        return [o for o in self.expectations() if o["order_id"] not in self.ended_by_people]

    def has_flowed(self):
        time.sleep(0.3)  # the questions below are no small work for hosts and sandboxes
        self.check_alive()
        if len(self.expectations()) < self.expected_orders:
            return False
        expected = self.undisturbed()
        for order in expected:
            is_posted = order["expect"] == "posted"
            if not order["delegated"] or (is_posted and not order.get("reference_key")):
                return False
        jobs = self.host.status()["jobs"]
        assert jobs["dead"] == 0, [e for e in self.host.exceptions() if e["cause"] in ("crashed", "gave_up")]
        return jobs["held"] >= sum(1 for o in expected if o["expect"] != "posted")

    def at_rest(self):
        """The host's status when nothing runs; schedules begin jobs all the time: a moment between two of them is
        enough. What is ready then waits behind what is held. None: no such moment."""
        self.check_alive()
        for _ in range(20):
            time.sleep(0.03)
            status = self.host.status()
            if not any(status["jobs"][state] for state in ("running", "waiting", "awaiting")):
                return status
        return None

    def is_settled(self):
        status = self.at_rest()
        ready = status["jobs"]["ready"] if status else None
        return ready == 0 or (ready is not None and ready == self.count_behind_held())

    def count_behind_held(self):
        """Webhooks that came after their order was held: they wait behind it, first come first served."""
        known = [self.host.order(o["order_id"])["jobs"] for o in self.undisturbed() if o["expect"] != "posted"]
        return sum(is_behind_held(job, jobs) for jobs in known for job in jobs)

    def calls(self, system):
        """The sandbox's whole log."""
        calls = []
        while True:
            after = calls[-1]["number"] if calls else 0
            page = self.control(system, "GET", f"calls?limit=5000&after={after}")["calls"]
            calls += page
            if len(page) < 5000:
                return calls

    # ---- what must hold ----

    def check(self):
        """One case per thing that must hold at the end."""
        neap.case("every order that posts is in Khaos exactly once, to the penny", self.check_once_in_khaos)
        neap.case("no import, cancellation or report on a unit went out again before it was known that it had not "
                  "happened", self.check_proofs)
        neap.case("the shop shows Khaos's code of every posted order", self.check_references)
        neap.case("every delegation was answered, repeats like the first time", self.check_answered)
        neap.case("every event that was answered for is kept, once", self.check_events)
        neap.case("every order that waits, waits on its causes and no others", self.check_held)
        neap.case("no job died, no effect is left open, nothing else needs a person; no host ended by itself",
                  self.check_quiet)

    def check_once_in_khaos(self):
        ledger = self.control("khaos", "GET", "ledger")
        expected = {f"SC{o['order_id']}": o for o in self.undisturbed() if o["expect"] == "posted"}
        assert expected, "no order flowed"
        for order in self.expectations():
            reference = f"SC{order['order_id']}"
            if order["order_id"] in self.ended_by_people and reference in ledger["references"]:
                assert order["expect"] == "posted", f"posted, but should be held or cancelled: {order}"
                expected[reference] = order
        doubled = {r: n for r, n in ledger["references"].items() if n != 1}
        assert not doubled, f"imported more than once: {doubled}"
        surprising = set(ledger["references"]) - set(expected)
        assert not surprising, f"posted, but should be held: {surprising}"
        totals = {o["reference"]: o["totals"]["gross"] for o in ledger["orders"]}
        for reference, order in expected.items():
            assert totals.get(reference) == order["total_minor"], (reference, totals.get(reference), order)
        assert ledger["summary"]["amount_differs"] == 0, ledger["summary"]
        assert ledger["summary"]["matched_by_name"] == 0, ledger["summary"]

    def check_proofs(self):
        unproven = []
        for system, what in (("khaos", "imports and cancellations of"), ("scayle", "reports on")):
            calls = self.calls(system)
            unproven += sends.unproven_sends(calls, self.deaths, system)
            count, subjects = sends.count(calls, system)
            print(f"# {count} {what} {subjects} {'references' if system == 'khaos' else 'units'}")
        assert not unproven, f"(call, subject, number, number of the repeat): {unproven}"

    def check_references(self):
        codes = {o["reference"]: o["code"] for o in self.control("khaos", "GET", "ledger")["orders"]}
        for order in self.undisturbed():
            if order["expect"] == "posted":
                assert order.get("reference_key") == codes[f"SC{order['order_id']}"], order

    def check_answered(self):
        ledger = self.control("scayle", "GET", "ledger")
        for entry in ledger["orders"]:
            is_answered = any(a.get("is_accepted") for a in entry["attempts"])
            assert is_answered or entry["order_id"] in self.wanted_cancelled, f"never answered: {entry['order_id']}"
            assert not entry.get("repeat_differs"), f"a repeat was answered differently: {entry['order_id']}"
            assert entry["order_state"] != "order_cancelled" or entry["order_id"] in self.ended_by_people, entry

    def check_events(self):
        entries = self.control("scayle", "GET", "ledger")["orders"]
        assert len(entries) == self.expected_orders, (len(entries), self.expected_orders)
        for entry in entries:
            if not any(a.get("is_accepted") for a in entry["attempts"]):
                continue  # cancelled before it was answered for (check_answered)
            known = self.host.order(entry["order_id"])
            assert known, f"order {entry['order_id']} was answered for and is not known"
            ids = [j["event"] for j in known["jobs"] if j["source"] == "scayle.delegation"]
            assert len(ids) == 1 and f":{entry['order_id']}:" in ids[0], (entry["order_id"], known["jobs"])
            jobs = known["jobs"]
            assert all(j["state"] in ("done", "held") or is_behind_held(j, jobs) for j in jobs), jobs

    def check_held(self):
        for order in self.expectations():
            if order["order_id"] in self.ended_by_people:
                order["expect"] = "posted"  # ended, one way or the other: nothing of it waits
            known = self.host.order(order["order_id"])
            if not known:  # cancelled before it was answered for (check_events)
                assert order["order_id"] in self.ended_by_people, order
                continue
            jobs = known["jobs"]
            causes = [sorted(c["cause"] for c in job["causes"]) for job in jobs if job["state"] == "held"]
            expected = [] if order["expect"] == "posted" else [[order["expect"].split(":")[1]]]
            assert causes == expected, (order, causes)

    def check_quiet(self):
        assert not self.unplanned, f"{len(self.unplanned)} ends of the host by itself: {self.unplanned}"
        status = self.host.status()
        print(f"# jobs at the end: {status['jobs']}")
        assert status["jobs"]["dead"] == 0, status
        assert status["open_effects"] == 0, (status, self.host.exceptions())
        # Also those of an order that was cancelled meanwhile: that the code is missing in Khaos stays true.
        expected = {o["expect"].split(":")[1] for o in self.expectations() if o["expect"] != "posted"}
        others = [e for e in self.host.exceptions() if e["cause"] not in expected]
        assert not others, others
