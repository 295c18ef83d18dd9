"""kill -9 at every named moment of what is told about units: parcels, cancellations, returns; of orders that Khaos is
to cancel itself; and of orders that are posted because a person approved them.

People in Khaos send, cancel and credit orders that were posted before, shoppers want some cancelled (with the add-on),
and a person dismisses or releases orders that waited for approval. Of some that wait SCAYLE asks whether they can be
cancelled, and does not ask again. SCAYLE's own protection is off: a report that is repeated is taken and noted once
more.
"""

import matrix
import neap
import shown
from campaign import Campaign
from warehouse import Warehouse

POLL_MS = 150
# Orders for each kind of effect: a unit is sent or credited at a time, an order cancelled at once.
ORDERS = {"ship_parcel": 24, "return_units": 24, "cancel_units": 44}
WANTED = 44  # orders whose shoppers want them cancelled
# Orders that wait for an approval: a person dismisses, or releases them, or the shopper wants them cancelled.
STAGED = {"staging": 36, "approval": 60 if matrix.WIDE else 36, "unheard": 50 if matrix.WIDE else 34}
AFTER_S = 0.5  # the next person acts, when the moment has not come yet


class Scene:
    """Orders ready to be acted on, one pool for each kind of cell."""

    def __init__(self, campaign, wanted):
        self.campaign = campaign
        self.orders, self.staged = ({who: count for who, count in counts.items() if who in wanted}
                                    for counts in (ORDERS, STAGED))
        self.wanted = WANTED if "cancel_order" in wanted else 0
        self.warehouse = Warehouse(campaign)
        self.pools = {}
        self.views = {}  # order -> what was shown of it before it was approved

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
        ids = [self.place("multi_unit") for _ in range(sum(self.orders.values()) or 1)]
        self.pools["cancel_order"] = []
        while len(self.pools["cancel_order"]) < self.wanted:
            order_id = self.place("plain")
            if self.is_reserved(order_id):
                self.pools["cancel_order"].append(order_id)
        for who, count in self.staged.items():
            self.pools[who] = [self.place("combo_pack") for _ in range(count)]
            campaign.ended_by_people.update(self.pools[who])
        staged = set(campaign.ended_by_people)
        neap.until(campaign.has_flowed, "every order is posted", 120)
        neap.until(lambda: campaign.host.status()["jobs"]["held"] >= len(staged), "what waits for approval is held", 60)
        self.views = {o: campaign.host.order(o)["trail"]["data"]["staged"]["posting"] for o in self.pools.get("approval", ())}
        ids.sort(key=lambda o: len(warehouse.lines[o]))  # those of few units for cancellations
        for effect in ("cancel_units", "ship_parcel", "return_units"):
            count = self.orders.get(effect, 0)
            self.pools[effect], ids = ids[:count], ids[count:]
        for order_id in self.pools["return_units"]:
            warehouse.ship(order_id, len(warehouse.lines[order_id]))
        for order_id in self.pools["cancel_units"]:
            if len(warehouse.lines[order_id]) > 1:
                warehouse.ship(order_id)
        neap.until(lambda: {d[0] for d in warehouse.differences()} <= staged, "what left is told", 120)
        campaign.kill_host()

    def decide(self, verb, order_id):
        """False when the host is not up yet, or a kill came before it said so."""
        return self.campaign.host.verb("exceptions", verb, "approval", str(order_id), "--reason", "looked at it",
                                       "--who", "eve")[0] == 0

    def ask(self, order_id):
        """SCAYLE asks whether it can be cancelled, is told that this is not known yet (CANCEL_WAIT_MS) and gives up."""
        try:
            return self.campaign.host.post("/demo/scayle/cancellation", {
                "orderReferenceKey": self.warehouse.entries()[order_id]["order_reference_key"],
                "fulfillingMerchantKey": "fellside"}, auth=neap.Shop.AUTH, timeout_s=1)[0] == 503
        except OSError:
            return False

    def move(self, who):
        """The next person acts: the orders take turns."""
        pool, warehouse = self.pools[who], self.warehouse
        assert pool, f"no order is left for {who}"
        order_id = pool.pop(0)
        if who in STAGED:
            acts = {"staging": lambda: self.decide("dismiss", order_id),
                    "approval": lambda: self.decide("release", order_id), "unheard": lambda: self.ask(order_id)}
            if not acts[who]():
                pool.append(order_id)
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
        """What was not acted on: staged orders are dismissed, wishes answered. All others that could be released were,
        so they are to be posted."""
        host, staged = self.campaign.host, self.campaign.ended_by_people
        waiting = [int(e["subject"]) for e in host.exceptions("approval")]
        released = set(self.views) - set(waiting)
        lost = set(self.views) - released - set(self.pools.get("approval", ()))
        assert not lost, f"a person was told that they were released: {lost}"
        staged -= released
        for order_id in waiting:
            assert self.decide("dismiss", order_id), order_id
        neap.until(self.warehouse.ask_again, "every wish is answered", 120)
        neap.until(lambda: self.warehouse.clear_desk() and not self.warehouse.differences(),
                   "SCAYLE shows what Khaos did", 120)
        assert staged >= self.campaign.wanted_cancelled

    # ---- what must hold ----

    def check_approved(self):
        count = 0
        for order_id, view in self.views.items():
            posted = self.warehouse.in_khaos(order_id)
            if order_id not in self.campaign.ended_by_people:
                shown.check(posted, view)
                count += 1
            else:
                assert posted is None, f"{order_id} was posted, and nobody released it"
        print(f"# {count} orders were released")


def phases_of_cells():
    """Cancelled units come from several places: one after the other, so that each has its own moments."""
    return [matrix.unit_cells(["cancel_units"], "staging") + matrix.approval_cells(),
            matrix.unit_cells(["cancel_units"], "unheard", has_commits=matrix.WIDE),
            matrix.unit_cells(matrix.OF_FULFILMENT)]


def at_named_moments(seed, wanted):
    campaign = Campaign(seed, variables={"DESPATCH_EVERY_MS": str(POLL_MS), "STOCK_POLL_MS": "600000",
                                         "CANCEL_ADD_ON": "1", "APPROVAL": "person",
                                         "CANCEL_LOOK_MS": "1000", "CANCEL_WAIT_MS": "0"})
    campaign.sandbox.variables["SANDBOX_WEBHOOK_PATH"] = "/scayle/webhook"
    phases = [[cell for cell in phase if wanted in cell.name] for phase in phases_of_cells()]
    cells = sum(phases, [])
    if not cells:
        return
    scene = Scene(campaign, {cell.who for cell in cells})
    for phase in phases:
        campaign.random.shuffle(phase)
    print(f"# seed {seed}, {len(cells)} named moments of parcels, cancelled and returned units; data in "
          f"{campaign.host.folder}", flush=True)

    def come():
        scene.prepare()
        missing = []
        for phase in filter(None, phases):
            for cell in phase:
                if not matrix.run_cell(campaign, cell, lambda _, __, cell=cell: scene.move(cell.who), AFTER_S):
                    missing.append(cell.name)
            campaign.rest(DESPATCH_EVERY_MS="2000")
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
        neap.case("what a person released is in Khaos exactly as it was shown", scene.check_approved)
        neap.case("every wish to cancel was answered with the truth", scene.warehouse.check_answers)
        campaign.check()
    finally:
        campaign.stop()
