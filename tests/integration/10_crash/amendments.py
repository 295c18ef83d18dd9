"""kill -9 at every named moment of an amendment: a unit of a posted order is cancelled in SCAYLE, or SCAYLE asks whether
what lies in one warehouse can be, and Khaos takes it out of the sales order when told to (the add-on), which deletes the
order and imports it anew.
"""

import matrix
import neap
from campaign import Campaign
from warehouse import TOKEN

ORDERS = 70
AFTER_S = 0.5  # the next unit is cancelled, when the moment has not come yet


class Scene:
    """Posted orders of several units that are not paid yet: only these are amended."""

    def __init__(self, campaign):
        self.campaign = campaign
        self.pool = []
        self.amended = []

    def document(self, order_id):
        path = f"/scayle/api/admin/v1/shops/fo/countries/GB/orders/{order_id}"
        return self.campaign.sandbox.json("GET", path, headers=TOKEN)

    def prepare(self):
        campaign = self.campaign
        campaign.start_sandbox()
        campaign.control("khaos", "POST", "settings", {"paid_add_ons": True})
        campaign.control("scayle", "POST", "settings", {"rate_limits": {"ordersRead": 1000000}})
        campaign.start_host()
        while len(self.pool) < ORDERS:
            order_id = self.place()
            document = self.document(order_id)
            if len(document["items"]) > 1 and document["payment"][0]["key"] == "adyen_creditcard":
                self.pool.append(order_id)
        neap.until(campaign.has_flowed, "every order is posted", 120)
        campaign.kill_host()

    def place(self):
        return self.campaign.place("multi_unit")["order_id"]

    def cancel_unit(self):
        assert self.pool, "no order is left"
        order_id = self.pool.pop(0)
        self.amended.append(order_id)
        self.take_off(order_id)

    def take_off(self, order_id):
        self.campaign.control("scayle", "POST", "cancel_items", {
            "order_id": order_id, "items": [self.document(order_id)["items"][0]["id"]]})

    def in_khaos(self):
        return {o["reference"]: o for o in self.campaign.control("khaos", "GET", "ledger")["orders"]}

    def finish(self):
        neap.until(lambda: all(self.in_khaos()[f"SC{o}"].get("amended") for o in self.amended),
                   "every cancelled unit is out of its order", 120)

    # ---- what must hold ----

    def check_orders(self):
        """Each was amended once, is without its unit and comes to what is left; all others are untouched."""
        orders = self.in_khaos()
        assert len(self.amended) > 10, self.amended
        for reference, order in orders.items():
            order_id = int(reference[2:])
            document = self.document(order_id)
            left = [i for i in document["items"] if i["status"] != "cancelled"]
            fees = sum(f["amount"]["withTax"] for f in document["cost"].get("appliedFees", []))
            total = sum(i["price"]["withTax"] for i in left) + fees
            found = {}
            for line in order["lines"]:
                found[line["stock_code"]] = found.get(line["stock_code"], 0) + int(float(line["quantity"]))
            wanted = {}
            for item in left:
                sku = item["variant"]["referenceKey"]
                wanted[sku] = wanted.get(sku, 0) + 1
            assert found == wanted and order["totals"]["gross"] == total, (reference, found, wanted, total, order)
            assert order.get("amended", 0) == (1 if order_id in self.amended else 0), (reference, order["amended"])

    def check_quiet(self):
        exceptions = [e for e in self.campaign.host.exceptions() if e["cause"] in (
            "amend_in_khaos", "cancel_in_khaos", "cancel_part", "cancel_too_late", "cancellation_undecided",
            "posted_total_differs")]
        assert exceptions == [], exceptions

    def check_books(self):
        """neap reconcile finds nothing: what both sides took off is the same."""
        code, text = self.campaign.host.verb("reconcile", "--json")
        assert code == 0, text


class PartScene(Scene):
    """One unit lies in a second warehouse, and SCAYLE asks for that: it cancels it when it is told yes, in an answer or,
    should it have asked no more, by us."""

    def place(self):
        return self.campaign.place("multi_unit", second_warehouse=32)["order_id"]

    def take_off(self, order_id):
        self.campaign.control("scayle", "POST", "cancel", {"order_id": order_id, "warehouse_ids": [32]})

    def finish(self):
        super().finish()
        neap.until(lambda: all(self.document(o)["items"][-1]["status"] == "cancelled" for o in self.amended),
                   "SCAYLE shows every unit that it asked for as cancelled", 120)


def cells_of(wanted, who=None):
    return [cell for cell in matrix.unit_cells(matrix.OF_AMENDMENTS, who=who) if wanted in cell.name]


def at_named_moments(seed, wanted):
    by(Scene, seed, wanted, None)
    by(PartScene, seed + 1, wanted, "the call")


def by(kind, seed, wanted, who):
    campaign = Campaign(seed, variables={
        "STOCK_POLL_MS": "600000", "AMEND_ADD_ON": "1", "RETURNS_SWEEP_MS": "3000",  # a webhook may be lost
        "CANCEL_LOOK_MS": "5000", "TWO_WAREHOUSES": "1"})
    campaign.sandbox.variables["SANDBOX_WEBHOOK_PATH"] = "/scayle/webhook"
    scene = kind(campaign)
    cells = cells_of(wanted, who)
    if not cells:
        return
    campaign.random.shuffle(cells)
    print(f"# seed {seed}, {len(cells)} named moments of orders amended {'for ' + who if who else 'after the fact'}; "
          f"data in {campaign.host.folder}", flush=True)

    def come():
        scene.prepare()
        missing = [cell.name for cell in cells
                   if not matrix.run_cell(campaign, cell, lambda _, __: scene.cancel_unit(), AFTER_S)]
        print(f"# seed {seed}: {len(cells) - len(missing)} of {len(cells)} moments came, {len(scene.amended)} orders "
              f"amended, {len(scene.pool)} left", flush=True)
        assert not missing, f"moments that never came: {missing}"

    def settle():
        campaign.set_faults({})
        campaign.start_host()
        scene.finish()
        campaign.settle()

    try:
        neap.case(f"kill -9 at every named moment of an amendment: each of them comes (seed {seed})", come)
        neap.case("all of them end", settle)
        neap.case("Khaos amended every order once, to the penny, and no other", scene.check_orders)
        neap.case("nobody is asked to do by hand what Khaos did", scene.check_quiet)
        neap.case("both sides took the same off", scene.check_books)
        neap.case("no job died, no effect is left open; no host ended by itself", campaign.check_quiet)
    finally:
        campaign.stop()
