"""kill -9 at every named moment of what follows a sale: returns that Khaos processes when told to (the add-on), and
money that Khaos alone gave back, which SCAYLE is told of.

The shop took a unit of each order back and a person entered it in Khaos: somebody releases it with the return's code.
Of other orders Khaos credits some money without goods. SCAYLE takes and notes a billing status that is told again.
"""

import collections

import matrix
import neap
from campaign import Campaign
from warehouse import TOKEN

POLL_MS = 150
ORDERS = {"process_return": 46, "billing_status": 56}
GOODWILL_MINOR = 150
AFTER_S = 0.5  # the next person acts, when the moment has not come yet


class Scene:
    """Orders that were sent, one pool for each kind of cell."""

    def __init__(self, campaign):
        self.campaign = campaign
        self.pools = {}
        self.codes = {}  # order -> code of its return in Khaos
        self.processed = []  # orders somebody released
        self.credited = []  # orders that Khaos gave money back for

    def in_khaos(self, order_id, **action):
        return self.campaign.control("khaos", "POST", "orders", {"reference": f"SC{order_id}", **action})

    def entry(self, order_id):
        ledger = self.campaign.control("scayle", "GET", "ledger")
        return next(e for e in ledger["orders"] if e["order_id"] == order_id)

    def items(self, order_id):
        path = f"/scayle/api/admin/v1/shops/fo/countries/GB/orders/{order_id}"
        return self.campaign.sandbox.json("GET", path, headers=TOKEN)["items"]

    def prepare(self):
        campaign = self.campaign
        campaign.start_sandbox()
        campaign.control("khaos", "POST", "settings", {"paid_add_ons": True})
        campaign.control("scayle", "POST", "settings", {"repeat_conflicts": False, "rate_limits": {
            "ordersRead": 1000000, "ordersWrite": 1000000, "fulfillmentWrite": 1000000}})
        campaign.start_host()
        ids = [campaign.place("plain")["order_id"] for _ in range(sum(ORDERS.values()))]
        neap.until(campaign.has_flowed, "every order is posted", 120)
        for order_id in ids:
            self.in_khaos(order_id, action="ship")
        neap.until(lambda: len([e for e in campaign.control("scayle", "GET", "ledger")["orders"] if e["shipments"]])
                   == len(ids), "what left is told", 120)
        count = ORDERS["process_return"]
        self.pools["process_return"], self.pools["billing_status"] = ids[:count], ids[count:]
        for order_id in self.pools["process_return"]:
            campaign.control("scayle", "POST", "return", {"order_id": order_id, "count": 1})
        neap.until(lambda: len(campaign.host.exceptions("return_to_process")) == count,
                   "a person is asked for the code of each return", 120)
        for order_id in self.pools["process_return"]:
            back = next(i for i in self.items(order_id) if i["status"] == "returned")
            made = self.in_khaos(order_id, action="return", items=[
                {"stock_code": back["variant"]["referenceKey"], "quantity": 1}])
            self.codes[order_id] = made["return_code"]
        campaign.kill_host()

    def release(self, order_id):
        """False when the host is not up yet."""
        return self.campaign.host.verb("exceptions", "release", "return_to_process", f"{order_id}/1", "--reason",
                                       self.codes[order_id], "--who", "eve")[0] == 0

    def move(self, effect):
        pool = self.pools[effect]
        assert pool, f"no order is left for {effect}"
        order_id = pool.pop(0)
        if effect == "billing_status":
            self.in_khaos(order_id, action="credit", amount_minor=GOODWILL_MINOR)
            self.credited.append(order_id)
        elif self.release(order_id):
            self.processed.append(order_id)
        else:
            pool.insert(0, order_id)

    def finish(self):
        """The desk is cleared: what nobody came to is released, what was released and not heard is again."""
        host = self.campaign.host
        neap.until(lambda: self.clear_desk(host), "every return is processed", 120)
        neap.until(lambda: all(self.entry(o).get("billing_changes") for o in self.credited),
                   "SCAYLE shows all money that was given back", 120)

    def clear_desk(self, host):
        for e in host.exceptions("return_to_process"):
            self.release(int(str(e["subject"]).split("/")[0]))
        returns = self.campaign.control("khaos", "GET", "ledger")["returns"]
        return all(r["state"] == "done" for r in returns) and not host.exceptions("return_to_process")

    # ---- what must hold ----

    def check_processed_once(self):
        ledger = self.campaign.control("khaos", "GET", "ledger")
        codes = {o["code"]: o["reference"][2:] for o in ledger["orders"]}
        assert len(ledger["returns"]) == len(self.codes), ledger["returns"]
        for entry in ledger["returns"]:
            order_id = codes[entry["order"]]
            assert self.codes[int(order_id)] == entry["code"], entry
            assert entry["state"] == "done" and entry["auth_code"] == f"{order_id}-1", entry
        credits = collections.Counter(int(codes[c["order_code"]]) for c in ledger["credits"])
        assert credits == collections.Counter([*self.codes, *self.credited]), credits
        told = [e["order_id"] for e in self.campaign.control("scayle", "GET", "ledger")["orders"] if e["returns"]]
        assert told == [], f"SCAYLE was told what it had told us: {told}"

    def check_told_once(self):
        for entry in self.campaign.control("scayle", "GET", "ledger")["orders"]:
            changes = [c["code"] for c in entry.get("billing_changes") or []]
            wanted = ["billing_partially_refunded"] if entry["order_id"] in self.credited else []
            assert changes == wanted, (entry["order_id"], changes)

    def check_books(self):
        """neap reconcile finds nothing: what both sides credited is the same."""
        code, text = self.campaign.host.verb("reconcile", "--json")
        assert code == 0, text


def cells_of(wanted):
    cells = matrix.unit_cells(["process_return"], points=matrix.OF_REPEATS)
    cells += matrix.unit_cells(["billing_status"])
    return [cell for cell in cells if wanted in cell.name]


def at_named_moments(seed, wanted):
    campaign = Campaign(seed, variables={
        "DESPATCH_EVERY_MS": str(POLL_MS), "STOCK_POLL_MS": "600000", "RETURN_ADD_ON": "1", "CREDIT_WAIT_MS": "8000"})
    campaign.sandbox.variables["SANDBOX_WEBHOOK_PATH"] = "/scayle/webhook"
    scene, cells = Scene(campaign), cells_of(wanted)
    if not cells:
        return
    campaign.random.shuffle(cells)
    print(f"# seed {seed}, {len(cells)} named moments of processed returns and money given back; data in "
          f"{campaign.host.folder}", flush=True)

    def come():
        scene.prepare()
        missing = []
        for cell in cells:
            if not matrix.run_cell(campaign, cell, lambda _, __, cell=cell: scene.move(cell.effect), AFTER_S):
                missing.append(cell.name)
        print(f"# seed {seed}: {len(cells) - len(missing)} of {len(cells)} moments came; left: "
              f"{({k: len(v) for k, v in scene.pools.items()})}", flush=True)
        assert not missing, f"moments that never came: {missing}"

    def settle():
        campaign.set_faults({})
        campaign.start_host()
        scene.finish()
        campaign.settle()

    try:
        neap.case("kill -9 at every named moment of processed returns and money given back: each of them comes "
                  f"(seed {seed})", come)
        neap.case("all of them end", settle)
        neap.case("Khaos processed every return once, with one credit note", scene.check_processed_once)
        neap.case("SCAYLE was told once of money that Khaos alone gave back", scene.check_told_once)
        neap.case("both sides gave back the same", scene.check_books)
        campaign.check()
    finally:
        campaign.stop()
