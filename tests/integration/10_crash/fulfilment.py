"""kill -9 at every named moment of what is told about units: parcels, cancellations, returns; and of orders that Khaos
is to cancel itself.

People in Khaos send, cancel and credit orders that were posted before, shoppers want some cancelled (with the add-on),
and a person dismisses orders that waited for approval. SCAYLE's own protection is off: a report that is repeated is
taken and noted once more.
"""

import matrix
import neap
from campaign import Campaign
from warehouse import Warehouse

POLL_MS = 150
# Orders for each kind of effect: a unit is sent or credited at a time, an order cancelled at once.
ORDERS = {"ship_parcel": 24, "return_units": 24, "cancel_units": 44}
WANTED = 44  # orders whose shoppers want them cancelled
STAGED = 36  # orders that wait for an approval they do not get
AFTER_S = 0.5  # the next person acts, when the moment has not come yet


class Scene:
    """Orders ready to be acted on, one pool for each kind of cell."""

    def __init__(self, campaign):
        self.campaign = campaign
        self.warehouse = Warehouse(campaign)
        self.pools = {}

    def place(self, kind):
        order_id = self.campaign.place(kind)["order_id"]
        self.warehouse.lines[order_id] = sorted(
            i["variant"]["referenceKey"] for i in self.warehouse.items(order_id))
        return order_id

    def is_reserved(self, order_id):
        """Only what is not paid yet can be cancelled through the add-on."""
        return self.warehouse.document(order_id)["payment"][0]["key"] == "adyen_creditcard"

    def prepare(self):
        """Posted orders, some of them sent already, as a whole or one unit of them; others wait for approval."""
        campaign, warehouse = self.campaign, self.warehouse
        campaign.start_sandbox()
        campaign.control("khaos", "POST", "settings", {"paid_add_ons": True})
        campaign.control("scayle", "POST", "settings", {"repeat_conflicts": False, "rate_limits": {
            "ordersRead": 1000000, "fulfillmentWrite": 1000000}})  # it is asked below
        campaign.start_host()
        ids = [self.place("multi_unit") for _ in range(sum(ORDERS.values()))]
        self.pools["cancel_order"] = []
        while len(self.pools["cancel_order"]) < WANTED:
            order_id = self.place("plain")
            if self.is_reserved(order_id):
                self.pools["cancel_order"].append(order_id)
        staged = self.pools["staging"] = [self.place("combo_pack") for _ in range(STAGED)]
        campaign.ended_by_people.update(staged)
        neap.until(campaign.has_flowed, "every order is posted", 120)
        neap.until(lambda: campaign.host.status()["jobs"]["held"] >= STAGED, "what waits for approval is held", 60)
        ids.sort(key=lambda o: len(warehouse.lines[o]))  # those of few units for cancellations
        for effect in ("cancel_units", "ship_parcel", "return_units"):
            self.pools[effect], ids = ids[:ORDERS[effect]], ids[ORDERS[effect]:]
        for order_id in self.pools["return_units"]:
            warehouse.ship(order_id, len(warehouse.lines[order_id]))
        for order_id in self.pools["cancel_units"]:
            if len(warehouse.lines[order_id]) > 1:
                warehouse.ship(order_id)
        neap.until(lambda: {d[0] for d in warehouse.differences()} <= set(staged), "what left is told", 120)
        campaign.kill_host()

    def dismiss(self, order_id):
        """Nothing when the host is not up yet."""
        return self.campaign.host.verb("exceptions", "dismiss", "approval", str(order_id), "--reason", "too cheap",
                                       "--who", "eve")[0] == 0

    def move(self, who):
        """The next person acts: the orders take turns."""
        pool, warehouse = self.pools[who], self.warehouse
        assert pool, f"no order is left for {who}"
        order_id = pool.pop(0)
        if who == "staging":
            if not self.dismiss(order_id):
                pool.insert(0, order_id)
        elif who == "cancel_units":
            warehouse.cancel(order_id)
        elif who == "cancel_order":
            warehouse.want_cancelled(order_id)
        else:
            done = warehouse.sent if who == "ship_parcel" else warehouse.credited
            (warehouse.ship if who == "ship_parcel" else warehouse.credit)(order_id)
            if len(done[order_id]) < len(warehouse.lines[order_id]):
                pool.append(order_id)

    def finish(self):
        """What was not acted on: staged orders are dismissed, wishes answered."""
        host, staged = self.campaign.host, self.campaign.ended_by_people
        for e in host.exceptions("approval"):
            assert self.dismiss(e["subject"]), e
        neap.until(self.warehouse.ask_again, "every wish is answered", 120)
        neap.until(lambda: self.warehouse.clear_desk() and not self.warehouse.differences(),
                   "SCAYLE shows what Khaos did", 120)
        assert staged >= self.campaign.wanted_cancelled


def at_named_moments(seed, wanted):
    campaign = Campaign(seed, variables={"DESPATCH_EVERY_MS": str(POLL_MS), "STOCK_POLL_MS": "600000",
                                         "CANCEL_ADD_ON": "1", "APPROVAL": "person"})
    campaign.sandbox.variables["SANDBOX_WEBHOOK_PATH"] = "/scayle/webhook"
    scene = Scene(campaign)
    # Staging first: nothing else has cancelled units by then, so the moments are its own.
    first = [cell for cell in matrix.unit_cells(["cancel_units"], "staging") if wanted in cell.name]
    cells = [cell for cell in matrix.unit_cells(matrix.OF_FULFILMENT) if wanted in cell.name]
    if not first + cells:
        return
    campaign.random.shuffle(first)
    campaign.random.shuffle(cells)
    cells = first + cells
    print(f"# seed {seed}, {len(cells)} named moments of parcels, cancelled and returned units; data in "
          f"{campaign.host.folder}", flush=True)

    def come():
        scene.prepare()
        missing = []
        for cell in cells:
            if not matrix.run_cell(campaign, cell, lambda _, __, cell=cell: scene.move(cell.who), AFTER_S):
                missing.append(cell.name)
        print(f"# seed {seed}: {len(cells) - len(missing)} of {len(cells)} moments came, {campaign.placed} orders",
              flush=True)
        assert not missing, f"moments that never came: {missing}"

    def settle():
        campaign.set_faults({})
        campaign.host.variables["DESPATCH_EVERY_MS"] = "2000"
        campaign.start_host()
        scene.finish()
        campaign.settle()

    try:
        neap.case("kill -9 at every named moment of parcels, cancellations and returns: each of them comes "
                  f"(seed {seed})", come)
        neap.case("all units end", settle)
        neap.case("every unit is in SCAYLE what Khaos made of it", scene.warehouse.check_units)
        neap.case("every parcel, cancelled and returned unit was told once", scene.warehouse.check_told_once)
        neap.case("every wish to cancel was answered with the truth", scene.warehouse.check_answers)
        campaign.check()
    finally:
        campaign.stop()
