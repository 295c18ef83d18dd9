"""kill -9 while Khaos Control Cloud calls: at every named moment of what it fetches (orders, returns) and pushes
(statuses of orders, levels, items), and of the commits and slices that follow.

Khaos keeps what it was told with 200 for done and does not say it again; what was not answered comes again. So an order
or a return that was served and whose answer was lost must be one order, one return; a push that was answered for is
known, whatever the host did with it until then.
"""

import matrix
import neap
from campaign import Campaign
from warehouse import Warehouse

RETURNED = 24  # orders of which the shop takes a unit back
SENT = 36  # orders that Khaos sends
AFTER_S = 0.5  # the next act, when the moment has not come yet
# The routes, and what must come first, so that the call is about something new.
ROUTES = {"orders": "timeline.after/post", "returns": "timeline.after/returns", "order_status": None,
          "stock_status": None, "stock": None}
FOLLOWING = ("end", "slice", "commit") if matrix.WIDE else ("commit",)
CODES = ("FO-CAP-0311", "FO-BAR-0012", "FO-SCK-0007-L")


class Moment:
    """Of a call, or (follows) the first of its kind after the answer to the call was handed out."""
    fault = None

    def __init__(self, route, point, side, follows=False):
        self.route = route
        self.point = f"{point}.{side}"
        first = f"{ROUTES[route]} " if ROUTES[route] else ""
        self.text = first + (f"reply.after/{route} {self.point}" if follows else f"{self.point}/{route}")
        self.name = f"{self.point} x cloud, " + (f"after {route}" if follows else route)

    def entries(self):
        return self.text

    def rules(self):
        return {}


def all_cells():
    return [Moment(route, "reply", side) for route in ROUTES for side in matrix.SIDES] + [
        Moment(route, point, side, True) for route in ROUTES for point in FOLLOWING for side in matrix.SIDES]


class Scene:
    def __init__(self, campaign):
        self.campaign = campaign
        self.warehouse = Warehouse(campaign)
        self.to_return, self.to_send = [], []
        self.taken = []  # orders of which a unit came back
        self.level = 1000

    def place(self, kind):
        order_id = self.campaign.place(kind)["order_id"]
        self.warehouse.know(order_id)
        return order_id

    def prepare(self):
        campaign = self.campaign
        campaign.start_sandbox()
        campaign.control("scayle", "POST", "settings", {"repeat_conflicts": False, "rate_limits": {
            "ordersRead": 1000000, "fulfillmentWrite": 1000000}})
        campaign.start_host()
        self.to_return = [self.place("plain") for _ in range(RETURNED)]
        self.to_send = [self.place("plain") for _ in range(SENT)]
        neap.until(campaign.has_flowed, "every order is in Khaos", 120)
        for order_id in self.to_return:
            self.warehouse.ship(order_id, len(self.warehouse.lines[order_id]))
        neap.until(lambda: not self.warehouse.differences(), "what left is told", 120)
        campaign.kill_host()

    def move(self, route):
        if route == "orders":
            self.place("guest")
        elif route == "returns":
            assert self.to_return, "no order is left"
            order_id = self.to_return.pop(0)
            self.taken.append(order_id)
            self.warehouse.take_back(order_id)
        elif route == "order_status":
            assert self.to_send, "no order is left"
            order_id = self.to_send.pop(0)
            self.warehouse.ship(order_id, len(self.warehouse.lines[order_id]))
        else:
            self.level += 1
            words = {"level": self.level} if route == "stock_status" else {"buffer": self.level % 7}
            self.campaign.control("khaos", "POST", "stock", {"code": CODES[self.level % len(CODES)], **words})

    def returns(self):
        return self.campaign.control("khaos", "GET", "cloud")["returns"]

    def finish(self):
        neap.until(lambda: not self.warehouse.differences(), "SCAYLE shows what Khaos did", 60)
        neap.until(lambda: len(self.returns()) >= len(self.taken), "Khaos fetched every return", 60)

    # ---- what must hold ----

    def check_orders(self):
        summary = self.campaign.control("khaos", "GET", "ledger?brief=1")["summary"]
        assert summary["duplicates"] == 0 and summary["amount_differs"] == 0, summary

    def check_returns(self):
        """One return for each unit, and what it gives back is its price."""
        returns = self.returns()
        assert sorted(returns) == sorted(f"SC{o}-R1" for o in self.taken), (sorted(returns), self.taken)
        for order_id in self.taken:
            entry = returns[f"SC{order_id}-R1"]
            back = [i for i in self.warehouse.items(order_id) if i["status"] == "returned"]
            lines = entry["document"]["ReturnedItems"]
            assert entry["status"] == "OK" and len(back) == len(lines) == 1, entry
            assert lines[0]["SKU"] == back[0]["variant"]["referenceKey"], (lines, back)
            assert round(lines[0]["UnitPrice"]["Gross"] * 100) == back[0]["price"]["withTax"], (lines, back)
        print(f"# {len(returns)} returns, fetched {sum(r['times'] for r in returns.values())} times")

    def check_books(self):
        code, text = self.campaign.host.verb("reconcile", "--json")
        assert code == 0, text


def at_named_moments(seed, wanted):
    cells = [cell for cell in all_cells() if wanted in cell.name]
    if not cells:
        return
    campaign = Campaign(seed, variables={"LINE": "cloud", "STOCK_POLL_MS": "300", "STOCK_SEND_MS": "300",
                                         "DESPATCH_EVERY_MS": "300", "RETURNS_SWEEP_MS": "3000"})
    campaign.host.variables["PUBLIC_URL"] = campaign.host.url("/demo")
    campaign.sandbox.variables.update({"SANDBOX_CLOUD": "1", "SANDBOX_CLOUD_MS": "100", "SANDBOX_WEBHOOK_PATH":
                                       "/scayle/webhook", "SANDBOX_CLOUD_URL": campaign.host.url("/demo")})
    scene = Scene(campaign)
    campaign.random.shuffle(cells)
    print(f"# seed {seed}, {len(cells)} named moments of calls of Khaos Control Cloud; data in "
          f"{campaign.host.folder}", flush=True)

    def come():
        scene.prepare()
        missing = [cell.name for cell in cells
                   if not matrix.run_cell(campaign, cell, lambda _, __, cell=cell: scene.move(cell.route), AFTER_S)]
        print(f"# seed {seed}: {len(cells) - len(missing)} of {len(cells)} moments came, {campaign.placed} orders",
              flush=True)
        assert not missing, f"moments that never came: {missing}"

    def settle():
        campaign.start_host()
        scene.finish()
        campaign.settle()

    try:
        neap.case(f"kill -9 at every named moment of Khaos Control Cloud's calls: each of them comes (seed {seed})", come)
        neap.case("all of them end", settle)
        neap.case("Khaos has every order once, to the penny", scene.check_orders)
        neap.case("every return is in Khaos once, to the penny", scene.check_returns)
        neap.case("every unit is in SCAYLE what Khaos and the shop made of it", scene.warehouse.check_units)
        neap.case("every parcel was told once", scene.warehouse.check_told_once)
        neap.case("the shop sells what Khaos pushed, less what is held", scene.warehouse.check_stock)
        neap.case("both sides gave back the same", scene.check_books)
        campaign.check()
    finally:
        campaign.stop()
