"""What people do with orders of a campaign: in Khaos, in the shop, at the desk; and how it must end on both sides.

Khaos sends, cancels and credits; the shop takes units back by itself; shoppers want orders cancelled. All of it goes
to the sandboxes, so it happens whether the host lives or not.
"""

import collections
import http.client
import json

import neap

TOKEN = {"X-Access-Token": "sandbox-token"}
TRIES = 50
PARTS = ("shipped", "returned", "cancelled")


def codes_of(items):
    return sorted(i["variant"]["referenceKey"] for i in items)


def expanded(items):
    """Stock codes of Khaos's lines or invoice items, one per unit."""
    return sorted(i["stock_code"] for i in items for _ in range(int(float(i["quantity"]))))


class Warehouse:
    def __init__(self, campaign):
        self.campaign = campaign
        self.lines = {}  # order -> SCAYLE's stock codes, one per unit, of every order that somebody touched
        self.odd = set()  # orders that leave as other codes than SCAYLE's (packs): as a whole only
        self.sent = collections.defaultdict(list)
        self.credited = collections.defaultdict(list)
        self.taken = collections.defaultdict(list)  # by the shop itself
        self.booked = set()  # orders of which a person booked what the shop took
        self.done = collections.Counter()

    # ---- reading ----

    def items(self, order_id):
        return self.document(order_id)["items"]

    def document(self, order_id):
        """The order as SCAYLE shows it, asked again while faults answer."""
        path = f"/scayle/api/admin/v1/shops/fo/countries/GB/orders/{order_id}"
        for _ in range(TRIES):
            try:
                status, text, _ = self.campaign.sandbox.get(path, headers=TOKEN)
            except (http.client.HTTPException, OSError):
                continue
            if status == 200:
                return json.loads(text)
        raise AssertionError(f"order {order_id} cannot be read: {status} {text[:300]}")

    def in_khaos(self, order_id):
        """The order in Khaos; None when it is not there."""
        found = self.campaign.control("khaos", "GET", f"ledger?reference=SC{order_id}")["orders"]
        return found[0] if found else None

    def know(self, order_id):
        if order_id not in self.lines:
            self.lines[order_id] = codes_of(self.items(order_id))
            order = self.in_khaos(order_id)
            if order and expanded(line for line in order["lines"] if not line.get("is_pack_header")) \
                    != self.lines[order_id]:
                self.odd.add(order_id)
        return self.lines[order_id]

    # ---- acts ----

    def act(self, order_id, **action):
        """True when Khaos did it: what is cancelled by now is not sent, for one."""
        status, text, _ = self.campaign.sandbox.post("/khaos/_control/orders",
                                                     {"reference": f"SC{order_id}", **action})
        assert status in (200, 409), (status, text)
        self.done[action["action"]] += status == 200
        return status == 200

    def left(self, order_id):
        rest = collections.Counter(self.know(order_id)) - collections.Counter(self.sent[order_id])
        return sorted(rest.elements())

    def ship(self, order_id, count=1, boxes=1):
        codes = self.left(order_id)[:count]
        if order_id in self.odd:
            shipped, codes = self.act(order_id, action="ship"), self.left(order_id)
        elif boxes > 1 and len(codes) > 1:
            shipped = self.act(order_id, action="ship", boxes=[{"items": items_of(codes[:1])},
                                                               {"items": items_of(codes[1:])}])
        else:
            shipped = self.act(order_id, action="ship", items=items_of(codes))
        if shipped:
            self.sent[order_id] += codes

    def credit(self, order_id):
        code = self.sent[order_id][len(self.credited[order_id])]
        if self.act(order_id, action="credit", items=items_of([code])):
            self.credited[order_id].append(code)

    def cancel(self, order_id):
        self.know(order_id)
        self.campaign.ended_by_people.add(order_id)
        self.act(order_id, action="cancel", reason="Damaged in the warehouse")

    def take_back(self, order_id):
        """The shop takes a unit back by itself: it must know that it was sent."""
        before = [i["id"] for i in self.items(order_id) if i["status"] == "returned"]
        self.campaign.control("scayle", "POST", "return", {"order_id": order_id, "count": 1})
        self.taken[order_id] += codes_of(i for i in self.items(order_id)
                                         if i["status"] == "returned" and i["id"] not in before)
        self.done["take_back"] += 1

    def want_cancelled(self, order_id):
        """A shopper wants it cancelled: SCAYLE asks, some times."""
        self.know(order_id)
        self.campaign.ended_by_people.add(order_id)
        self.campaign.wanted_cancelled.add(order_id)
        self.campaign.control("scayle", "POST", "cancel", {"order_id": order_id})
        self.done["want_cancelled"] += 1

    def act_at_random(self, chance):
        """Somebody does something with some order, whatever is under way."""
        orders = self.campaign.expectations()
        if not orders:
            return
        order = chance.choice(orders)
        order_id = order["order_id"]
        if chance.random() < 0.12 and len(self.campaign.wanted_cancelled) * 6 < len(orders):
            newest = orders[-1]["order_id"]  # on its way, as often as not
            self.want_cancelled(chance.choice((order_id, newest)))
            return
        if order["expect"] != "posted" or not order.get("reference_key"):
            return
        self.know(order_id)
        left, sent = self.left(order_id), self.sent[order_id]
        draw = chance.random()
        if left and draw < 0.65:
            self.ship(order_id, chance.randint(1, len(left)), chance.choice((1, 2)))
        elif left and draw < 0.75:
            self.cancel(order_id)
        elif order_id in self.odd or not sent:
            return
        elif order_id % 2 and len(self.credited[order_id]) < len(sent):
            self.credit(order_id)
        elif order_id % 2 == 0:
            self.take_back(order_id)

    # ---- the desk ----

    def answers(self, order_id):
        """What SCAYLE was told about a cancellation that it asked for."""
        return [json.loads(c["body"])["cancellationResult"] for c in self.entries()[order_id]["cancellations"]
                if c.get("status") == 201]

    def entries(self):
        return {e["order_id"]: e for e in self.campaign.control("scayle", "GET", "ledger")["orders"]}

    def ask_again(self):
        """True when each wish has an answer; a shopper who has none asks again."""
        entries = self.entries()
        silent = [o for o in self.campaign.wanted_cancelled
                  if not any(c.get("status") == 201 for c in entries[o]["cancellations"])]
        for order_id in silent:
            self.campaign.control("scayle", "POST", "cancel", {"order_id": order_id})
        return not silent

    def clear_desk(self):
        """A person does what the worklist says. True when it was empty."""
        host = self.campaign.host
        todo = [e for e in host.exceptions()
                if e["cause"] in ("cancel_in_khaos", "cancel_too_late", "return_not_in_khaos")]
        for e in todo:
            order_id = int(e["subject"])
            if e["cause"] == "return_not_in_khaos":
                if order_id not in self.booked:
                    self.booked.add(order_id)
                    self.act(order_id, action="credit", items=items_of(self.taken[order_id]))
            elif e["cause"] == "cancel_in_khaos" and not self.sent[order_id]:
                order = self.in_khaos(order_id)
                if not order.get("cancelled"):
                    self.cancel(order_id)
            else:
                host.verb("exceptions", "dismiss", e["cause"], e["subject"], "--reason", "sent", "--who", "eve")
        return not todo and {order_id for order_id, codes in self.taken.items() if codes} <= self.booked

    # ---- stock ----

    def in_stock(self):
        """Of each code of its own (no kit, no service, still sold) what Khaos has and what it keeps back."""
        items = self.campaign.control("khaos", "GET", "stock")["items"]
        return {i["code"]: i["levels"]["1"] - i["buffer"] for i in items
                if i["controlled"] and not i.get("kit") and not i["discontinued"]}

    def open_units(self):
        """Units by code that shoppers bought and that Khaos does not know: of orders that are held."""
        units = collections.Counter()
        for order in self.campaign.expectations():
            if self.in_khaos(order["order_id"]) is None:
                units.update(codes_of(i for i in self.items(order["order_id"]) if i["status"] not in PARTS))
        return units

    def stock_differences(self):
        """Codes of which the shop does not sell what Khaos has, less what is open: (shop, Khaos, open)."""
        open_units, different = self.open_units(), {}
        for code, count in self.in_stock().items():
            shown = self.campaign.control("scayle", "GET", f"sellable?sku={code}")["visible"]
            if self.has_figure(code) and shown != count - open_units[code]:
                different[code] = (shown, count, open_units[code])
        return different

    def has_figure(self, code):
        status, text, _ = self.campaign.sandbox.get(f"/scayle/api/admin/v1/variants/key%3D{code}/stocks", headers=TOKEN)
        return status == 200 and bool(json.loads(text)["entities"])

    # ---- what must hold ----

    def check_stock(self):
        """What a shopper could buy now: the figure that we sent, less what the shop took away for orders since."""
        neap.until(lambda: not self.stock_differences(), "the shop sells what Khaos has, less what is open", 30)
        codes = [code for code in self.in_stock() if self.has_figure(code)]
        assert len(codes) > 5, codes
        print(f"# stock of {len(codes)} codes; {self.open_units().total()} units are open")

    def wanted(self, order_id, order):
        """Stock codes by state that SCAYLE must show; order: as Khaos has it."""
        lines = self.lines[order_id]
        if order is None:
            return {"shipped": [], "returned": [], "cancelled": lines}
        sent = collections.Counter(self.sent[order_id])
        back = collections.Counter(self.credited[order_id] + self.taken[order_id])
        rest = collections.Counter(lines) - sent if order.get("cancelled") else collections.Counter()
        return {"shipped": sorted((sent - back).elements()), "returned": sorted(back.elements()),
                "cancelled": sorted(rest.elements())}

    def differences(self):
        """Orders whose units are not in SCAYLE what Khaos made of them."""
        self.campaign.check_alive()
        in_khaos = {o["reference"]: o for o in self.campaign.control("khaos", "GET", "ledger")["orders"]}
        different = []
        for order_id in self.lines:
            items = self.items(order_id)
            shown = {state: codes_of(i for i in items if i["status"] == state) for state in PARTS}
            wanted = self.wanted(order_id, in_khaos.get(f"SC{order_id}"))
            if shown != wanted:
                different.append((order_id, shown, wanted))
        return different

    def check_units(self):
        assert not self.differences(), self.differences()

    def check_answers(self):
        """A cancellation that SCAYLE was told to be successful is one: the order is not in Khaos, or cancelled there."""
        words = collections.Counter()
        for order_id in self.campaign.wanted_cancelled:
            answers = self.answers(order_id)
            assert answers, f"order {order_id}: never answered"
            order = self.in_khaos(order_id)
            is_gone = order is None or bool(order.get("cancelled"))
            assert "successful" not in answers or is_gone, (order_id, answers, order)
            words[f"{answers[-1]}, {'not posted' if order is None else 'posted'}"] += 1
        print(f"# cancellations that shoppers wanted: {dict(words)}")

    def check_told_once(self):
        parcels = {o["reference"]: o for o in self.campaign.control("khaos", "GET", "ledger")["orders"]}
        told = collections.Counter()
        for order_id, entry in self.entries().items():
            reports = {
                "shipped": [i["orderItemId"] for e in entry["shipments"] for i in e["body"]["items"]],
                "cancelled": [i["orderItemId"] for e in entry["cancellations"] if isinstance(e.get("body"), dict)
                              for i in e["body"]["items"]],
                "returned": [i["returnKey"] for e in entry["returns"] for i in e["body"]],
            }
            for what, units in reports.items():
                assert len(units) == len(set(units)), f"order {order_id}: a unit was told twice as {what}: {units}"
                told[what] += len(units)
            order = parcels.get(f"SC{order_id}")
            keys = sorted(e["body"]["shipmentKey"] for e in entry["shipments"])
            left = sorted(c for i in order["invoices"] for c in consignments(i)) if order else []
            assert keys == left, f"order {order_id}: parcels told {keys}, left {left}"
        print(f"# units told: {dict(told)}")
        for what, count in (("shipped", sum(map(len, self.sent.values()))),
                            ("returned", sum(map(len, self.credited.values())))):
            assert told[what] == count, (what, told[what], count)


def items_of(codes):
    return [{"stock_code": code, "quantity": codes.count(code)} for code in sorted(set(codes))]


def consignments(invoice):
    return [box["consignment"] for box in invoice.get("boxes") or [invoice]]
