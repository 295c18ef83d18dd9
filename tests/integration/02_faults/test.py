"""Every fault switch of both sandboxes, on every call of an order's way.

Whatever happens to one call, the order ends in Khaos exactly once with the total the shopper paid, and SCAYLE shows
Khaos's order code. Without Khaos's own protection against duplicates a second import must follow a look-up.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import neap  # noqa: E402

shop = neap.Shop(variables={"TIMEOUT_MS": "400", "SWEEP_MS": "600000", "MIRROR_MS": "600000",
                            "BREAKER_FAILURES": "1000", "RETRY_MAX_MS": "100"})

REFUSALS = ({"fault": "429"}, {"fault": "500"}, {"fault": "503"}, {"fault": "500", "status": 502})
BREAKS = ({"fault": "reset_before"}, {"fault": "reset_after"}, {"fault": "close_before"},
          {"fault": "close_after_body"}, {"fault": "truncate"})
SLOW = ({"fault": "delay", "ms": 30}, {"fault": "delay", "ms": 900})  # the second is beyond the timeout
SOAP = ({"fault": "multiref"}, {"fault": "inline"}, {"fault": "fault_any_status"},
        {"fault": "fault_any_status", "status": 500}, {"fault": "skew"}, {"fault": "skew", "ms": -86400000})
READS = ("ExportCompany", "ExportOrderStatusEx")
LOOKUPS = {"ImportOrders": ("ExportOrderStatusEx", "ExportOrderStatus", "ExportOrders"),
           "ImportCompany": ("ExportCompany", "GetCompanyList")}
NOTHING_DONE = ("429",)  # the only refusal that says so
seeds = iter(range(1000, 100000))


def words(rule):
    return " ".join([rule["fault"]] + [f"{k} {v}" for k, v in rule.items() if k in ("ms", "status")])


def place(kind="guest"):  # a guest is a new customer, so that ImportCompany is called
    return shop.place(kind, seed=next(seeds))


def rules_of(system):
    return shop.control(system, "GET", "faults")["rules"]


def calls(after=0):
    return shop.control("khaos", "GET", f"calls?limit=10000&after={after}")["calls"]


def until_done(what, orders):
    """Both sides agree and the jobs rest; the failure shows the first order that does not."""
    for order in orders:
        try:
            shop.until_right(order)
            neap.until(lambda order=order: shop.job(order)["state"] == "done", "its job is done")
        except AssertionError as err:
            raise AssertionError(f"{what}: {err}\n{shop.host.verb('order', str(order['order_id']))[1]}") from None


def all_together(system, operation, rules):
    """As many orders as rules, at once; each rule spoils one call of the operation."""
    shop.faults(system, *[{"operation": operation, "nth": i + 1, **rule} for i, rule in enumerate(rules)])
    until_done(operation, [place() for _ in rules])
    idle = [words(r["rule"]) for r in rules_of(system) if r["fired"] == 0]
    shop.faults(system)
    assert not idle, f"{operation}: never fired: {idle}"


def check_lookups(rule, after, operation):
    """A second send of an import follows a look-up that came after the first."""
    is_unknown = False
    for call in calls(after):
        if call["operation"] == operation:
            assert not is_unknown, f"{words(rule)}: two {operation} without a look-up between: {calls(after)}"
            is_unknown = not set(call["faults"]) & set(NOTHING_DONE)
        elif call["operation"] in LOOKUPS[operation]:
            is_unknown = False


def one_by_one(operation, rules):
    """One order per rule, alone, so that the order of its calls can be read from Khaos's log."""
    for rule in rules:
        listed = calls()
        shop.faults("khaos", {"operation": operation, "nth": 1, **rule})
        until_done(f"{operation} {words(rule)}", [place()])
        assert rules_of("khaos")[0]["fired"] == 1, words(rule)
        check_lookups(rule, listed[-1]["number"] if listed else 0, operation)
    shop.faults("khaos")


def imports_with_protection():
    for operation in LOOKUPS:
        all_together("khaos", operation, REFUSALS + BREAKS + SLOW + SOAP)


def imports_without_protection():
    shop.control("khaos", "POST", "settings", {"duplicate_protection": False})
    for operation in LOOKUPS:
        one_by_one(operation, REFUSALS + BREAKS + SLOW + SOAP[2:4])


def one_customer_many_orders():
    """Jobs of several orders share the effect that creates their customer, and each looks it up."""
    shop.faults("khaos", {"operation": "ImportCompany", "nth": 1, "times": 3, "fault": "reset_before"},
                {"operation": "ImportCompany", "nth": 4, "times": 3, "fault": "reset_after"},
                {"operation": "ExportCompany", "probability": 0.7, "fault": "delay", "ms": 60})
    seed = next(seeds)
    orders = [shop.place("zero_rated_export", seed=seed) for _ in range(12)]  # all of one new shopper
    until_done("one customer", orders)
    shop.faults("khaos")
    assert len({shop.posted(order)["urn"] for order in orders}) == 1


def reads():
    for operation in READS:
        all_together("khaos", operation, REFUSALS + BREAKS + SLOW + SOAP)


def shop_reads():
    all_together("scayle", "get_order", REFUSALS + BREAKS + SLOW)


def shop_writes():
    all_together("scayle", "set_reference", REFUSALS + BREAKS + SLOW)


def lasting_trouble():
    """A send whose outcome stays unknown is a failed try: the retry policy paces it, however short the settling."""
    shop.faults("khaos", {"operation": "ImportOrders", "fault": "500"})
    order = place()
    neap.until(lambda: (shop.job(order) or {"attempt": 0})["attempt"] > 4, "it is tried again and again")
    sends = rules_of("khaos")[0]["fired"]
    tries = shop.job(order)["attempt"]
    assert sends <= tries, f"{sends} imports sent in {tries} tries"
    shop.faults("khaos")
    until_done("lasting trouble", [order])


def deliveries():
    rules = ({"fault": "duplicate"}, {"fault": "duplicate", "ms": 1}, {"fault": "reorder"}, {"fault": "delay", "ms": 100},
             {"fault": "reset_after"}, {"fault": "reset_before"}, {"fault": "close_before"})
    for rule in rules:
        shop.faults("scayle", {"operation": "delegation", "nth": 1, **rule})
        order = place()
        until_done(f"delegation {words(rule)}", [order])
        assert rules_of("scayle")[0]["fired"] == 1, words(rule)
        if rule["fault"] in ("duplicate", "reset_after"):
            neap.until(lambda o=order: len(shop.entry(o)["attempts"]) >= 2, f"{words(rule)}: it was sent again")
            assert not shop.entry(order).get("repeat_differs"), words(rule)
    shop.faults("scayle")


def overtaken_deliveries():
    shop.faults("scayle", {"operation": "delegation", "nth": 1, "fault": "reorder"},
                {"operation": "delegation", "probability": 0.5, "fault": "duplicate", "ms": 20})
    until_done("overtaking delegations", [place() for _ in range(10)])
    shop.faults("scayle")


def all_at_once():
    rules = [{"probability": 0.08, "fault": fault} for fault in
             ("500", "reset_before", "reset_after", "close_after_body", "truncate", "multiref")]
    shop.faults("khaos", *rules, {"probability": 0.1, "fault": "delay", "ms": 20})
    shop.faults("scayle", *[{"path": "/orders", "probability": 0.08, "fault": fault} for fault in
                            ("429", "503", "reset_after", "truncate")])
    kinds = ("plain", "multi_unit", "voucher", "gift_card", "eur_mixed_vat", "guest")
    orders = [place(kinds[i % len(kinds)]) for i in range(30)]
    until_done("all faults", orders)
    shop.faults("khaos")
    shop.faults("scayle")


def nothing_doubled():
    neap.until(lambda: shop.host.status()["jobs"]["ready"] == 0, "all jobs rest")
    ledger = shop.ledger("khaos", brief=1)
    doubled = {reference: count for reference, count in ledger["references"].items() if count != 1}
    assert not doubled, doubled
    for what in ("amount_differs", "matched_by_name", "duplicates", "unpaid"):
        assert ledger["summary"][what] == 0, ledger["summary"]
    summary = shop.ledger("scayle", brief=1)["summary"]
    assert summary["repeat_differs"] == 0 and summary["with_reference"] == summary["orders"], summary


def nothing_waits():
    jobs = shop.host.status()["jobs"]
    assert jobs["dead"] == 0 and jobs["held"] == 0, (jobs, shop.host.exceptions())
    assert not shop.host.exceptions(), shop.host.exceptions()


try:
    shop.start()
    neap.case("imports survive every refusal, break, delay, fault and form of reply", imports_with_protection)
    neap.case("without duplicate protection nothing is imported again unasked", imports_without_protection)
    neap.case("twelve orders at once of a new customer create one customer", one_customer_many_orders)
    neap.case("reads of Khaos are tried again, in whatever form they are answered", reads)
    neap.case("reads of SCAYLE are tried again", shop_reads)
    neap.case("trouble that lasts is tried at the pace of the retry policy", lasting_trouble)
    neap.case("the reference is written to SCAYLE whatever happens to the call", shop_writes)
    neap.case("delegations that come twice, late or whose answer is lost are answered alike", deliveries)
    neap.case("overtaking and doubled delegations of ten orders make ten postings", overtaken_deliveries)
    neap.case("thirty orders of six kinds come through all faults at once", all_at_once)
    neap.case("at the end no order is in Khaos twice or off by a penny", nothing_doubled)
    neap.case("at the end nothing is held, dead or open", nothing_waits)
finally:
    shop.stop()
neap.done()
