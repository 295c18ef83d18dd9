"""kill -9 at every named moment of what is told to SCAYLE about units: parcels, cancellations, returns.

People in Khaos send, cancel and credit orders that were posted before. SCAYLE's own protection is off: a report that
is repeated is taken and noted once more.
"""

import collections

import matrix
import neap
from campaign import Campaign

POLL_MS = 150
# Orders of several units for each kind of effect: a unit is sent or credited at a time, the rest cancelled at once.
ORDERS = {"ship_parcel": 24, "return_units": 24, "cancel_units": 44}
AFTER_S = 0.5  # the next person acts, when the moment has not come yet


class Warehouse:
    """What people in Khaos did with the orders."""

    def __init__(self, campaign):
        self.campaign = campaign
        self.lines = {}  # order -> stock codes, one per unit
        self.sent = collections.defaultdict(list)
        self.credited = collections.defaultdict(list)
        self.cancelled = set()
        self.pools = {}

    def act(self, order_id, **action):
        self.campaign.control("khaos", "POST", "orders", {"reference": f"SC{order_id}", **action})

    def ship(self, order_id, count=1):
        codes = self.lines[order_id][len(self.sent[order_id]):][:count]
        items = [{"stock_code": code, "quantity": codes.count(code)} for code in sorted(set(codes))]
        self.act(order_id, action="ship", items=items)
        self.sent[order_id] += codes

    def credit(self, order_id):
        code = self.sent[order_id][len(self.credited[order_id])]
        self.act(order_id, action="credit", items=[{"stock_code": code, "quantity": 1}])
        self.credited[order_id].append(code)

    def cancel(self, order_id):
        self.act(order_id, action="cancel", reason="Damaged in the warehouse")
        self.cancelled.add(order_id)

    def prepare(self):
        """Posted orders, some of them sent already, as a whole or one unit of them."""
        campaign = self.campaign
        campaign.start_sandbox()
        campaign.control("scayle", "POST", "settings", {"repeat_conflicts": False,
                                                       "rate_limits": {"ordersRead": 1000000}})  # it is asked below
        campaign.start_host()
        count = sum(ORDERS.values())
        while len(self.lines) < count:
            order_id = campaign.place("multi_unit")["order_id"]
            self.lines[order_id] = sorted(i["variant"]["referenceKey"] for i in self.items(order_id))
        neap.until(campaign.has_flowed, "every order is posted", 120)
        ids = sorted(self.lines, key=lambda o: len(self.lines[o]))  # those of few units for cancellations
        for effect in ("cancel_units", "ship_parcel", "return_units"):
            self.pools[effect], ids = ids[:ORDERS[effect]], ids[ORDERS[effect]:]
        for order_id in self.pools["return_units"]:
            self.ship(order_id, len(self.lines[order_id]))
        for order_id in self.pools["cancel_units"]:
            if len(self.lines[order_id]) > 1:
                self.ship(order_id)
        neap.until(lambda: not self.differences(), "what left is told", 120)
        campaign.kill_host()

    def items(self, order_id):
        path = f"/scayle/api/admin/v1/shops/fo/countries/GB/orders/{order_id}"
        return self.campaign.sandbox.json("GET", path, headers={"X-Access-Token": "sandbox-token"})["items"]

    def move(self, effect):
        """The next person acts: the orders take turns."""
        pool = self.pools[effect]
        assert pool, f"no order is left for {effect}"
        order_id = pool.pop(0)
        if effect == "cancel_units":
            self.cancel(order_id)
            return
        done = self.sent if effect == "ship_parcel" else self.credited
        (self.ship if effect == "ship_parcel" else self.credit)(order_id)
        if len(done[order_id]) < len(self.lines[order_id]):
            pool.append(order_id)

    # ---- what must hold ----

    def differences(self):
        """Orders whose units are not in SCAYLE what Khaos made of them."""
        self.campaign.check_alive()
        different = []
        for order_id, lines in self.lines.items():
            items = self.items(order_id)
            shown = {state: sorted(i["variant"]["referenceKey"] for i in items if i["status"] == state)
                     for state in ("shipped", "returned", "cancelled")}
            sent, back = collections.Counter(self.sent[order_id]), collections.Counter(self.credited[order_id])
            rest = collections.Counter(lines) - sent if order_id in self.cancelled else collections.Counter()
            wanted = {"shipped": sorted((sent - back).elements()), "returned": sorted(back.elements()),
                      "cancelled": sorted(rest.elements())}
            if shown != wanted:
                different.append((order_id, shown, wanted))
        return different

    def check_units(self):
        assert not self.differences(), self.differences()

    def check_told_once(self):
        parcels = {o["reference"]: o for o in self.campaign.control("khaos", "GET", "ledger")["orders"]}
        told = collections.Counter()
        for entry in self.campaign.control("scayle", "GET", "ledger")["orders"]:
            order_id = entry["order_id"]
            reports = {
                "shipped": [i["orderItemId"] for e in entry["shipments"] for i in e["body"]["items"]],
                "cancelled": [i["orderItemId"] for e in entry["cancellations"] for i in e["body"]["items"]],
                "returned": [i["returnKey"] for e in entry["returns"] for i in e["body"]],
            }
            for what, units in reports.items():
                assert len(units) == len(set(units)), f"order {order_id}: a unit was told twice as {what}: {units}"
                told[what] += len(units)
            keys = sorted(e["body"]["shipmentKey"] for e in entry["shipments"])
            left = sorted(i["consignment"] for i in parcels[f"SC{order_id}"]["invoices"])
            assert keys == left, f"order {order_id}: parcels told {keys}, left {left}"
        print(f"# units told: {dict(told)}")
        for what, count in (("shipped", sum(map(len, self.sent.values()))),
                            ("returned", sum(map(len, self.credited.values())))):
            assert told[what] == count, (what, told[what], count)


def at_named_moments(seed, wanted):
    campaign = Campaign(seed, variables={"DESPATCH_EVERY_MS": str(POLL_MS), "STOCK_POLL_MS": "600000"})
    campaign.sandbox.variables["SANDBOX_WEBHOOK_PATH"] = "/scayle/webhook"
    warehouse = Warehouse(campaign)
    cells = [cell for cell in matrix.fulfilment_cells() if wanted in cell.name]
    if not cells:
        return
    campaign.random.shuffle(cells)
    print(f"# seed {seed}, {len(cells)} named moments of parcels, cancelled and returned units; data in "
          f"{campaign.host.folder}", flush=True)

    def come():
        warehouse.prepare()
        missing = []
        for cell in cells:
            if not matrix.run_cell(campaign, cell, lambda _, __, cell=cell: warehouse.move(cell.effect), AFTER_S):
                missing.append(cell.name)
        print(f"# seed {seed}: {len(cells) - len(missing)} of {len(cells)} moments came, {campaign.placed} orders",
              flush=True)
        assert not missing, f"moments that never came: {missing}"

    def settle():
        campaign.set_faults({})
        campaign.host.variables["DESPATCH_EVERY_MS"] = "2000"
        campaign.start_host()
        neap.until(lambda: not warehouse.differences(), "SCAYLE shows what Khaos did", 120)
        campaign.settle()

    try:
        neap.case("kill -9 at every named moment of parcels, cancellations and returns: each of them comes "
                  f"(seed {seed})", come)
        neap.case("all units end", settle)
        neap.case("every unit is in SCAYLE what Khaos made of it", warehouse.check_units)
        neap.case("every parcel, cancelled and returned unit was told once", warehouse.check_told_once)
        campaign.check()
    finally:
        campaign.stop()
