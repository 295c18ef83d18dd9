"""Drift: what SCAYLE shows is compared with what Khaos has and what we sent; each difference has its class, the
comparison goes on after kill -9, and what differs is sent again when a person says so."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import neap  # noqa: E402

shop = neap.Shop(variables={"ORDER_LAG_MS": "1500", "STOCK_POLL_MS": "500", "STOCK_SEND_MS": "300", "DRIFT_MS": "300",
                            "CONCURRENT": "8", "DRIFT_BATCH": "6"})
CODES = [f"FO-DRF-{n:04}" for n in range(8)]
HEADERS = {"X-Access-Token": "sandbox-token"}


def in_khaos(code, **words):
    shop.control("khaos", "POST", "stock", {"code": code, **words})


def path(sku):
    return f"/scayle/api/admin/v1/variants/key%3D{sku}/stocks"


def figure(sku):
    found = shop.scayle.json("GET", path(sku), headers=HEADERS)["entities"]
    return found[0]["quantity"] if found else None


def by_hand(sku, quantity):
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    shop.scayle.json("POST", path(sku), {"quantity": quantity, "warehouseReferenceKey": "KC-MAIN", "changedAt": stamp},
                     headers=HEADERS)
    assert figure(sku) == quantity, "the shop did not take the figure"


def drift():
    """The newest comparison; its differences of our codes."""
    document = shop.host.ask("stock", "drift")
    return document, {d["sku"]: d for d in document["differences"] if d["sku"] in CODES}


def compare():
    before = drift()[0].get("completed")
    code, text = shop.host.verb("stock", "drift", "--check", "--who", "eve")
    assert code == 0, text
    neap.until(lambda: drift()[0].get("completed") not in (None, before) and not drift()[0]["under_way"],
               "the comparison ends")
    return drift()[1]


def settled():
    neap.until(lambda: all(figure(code) == 10 for code in CODES[:-1]), "the shop has its figures")


def agreed():
    for code in CODES:
        in_khaos(code, level=10, buffer=0)
    shop.control("scayle", "POST", "variants", {"skus": CODES[:-1]})
    settled()
    found = compare()
    assert set(found) == {CODES[-1]} and found[CODES[-1]]["class"] == "missing", found
    assert drift()[0]["looked"] >= len(CODES), drift()[0]


def changed_by_hand():
    by_hand(CODES[0], 77)
    found = compare()[CODES[0]]
    assert (found["class"], found["khaos"], found["sent"], found["shown"]) == ("by_hand", 10, 10, 77), found
    exception = shop.host.exceptions("stock_drift")
    assert len(exception) == 1 and "1 by hand" in exception[0]["message"], exception
    assert shop.host.verb("stock", "drift")[0] == 1


def fixed():
    assert shop.host.verb("stock", "drift", "--fix", "--reason", "nobody knows who did it")[0] == 0
    neap.until(lambda: figure(CODES[0]) == 10, "it is sent again")
    assert CODES[0] not in compare()


def edited():
    """An edited policy is told by itself, and is no drift then."""
    shop.edit("client.lua", "policy = {default = {use_khaos_buffer = true}}",
              "policy = {default = {use_khaos_buffer = true, cap = 4}}")
    neap.until(lambda: all(figure(code) == 4 for code in CODES[:-1]), "the shop follows")
    neap.until(lambda: set(compare()) == {CODES[-1]}, "they agree")


def killed():
    """Few codes at a tick: a killed comparison goes on where it was, and looks at each code once."""
    by_hand(CODES[2], 55)
    whole = drift()[0]["looked"]
    before = drift()[0]["completed"]
    assert shop.host.verb("stock", "drift", "--check")[0] == 0
    kills = 0
    while drift()[0].get("completed") == before and kills < 50:
        time.sleep(0.2)
        shop.host.kill()
        shop.host.start()
        kills += 1
    neap.until(lambda: drift()[0].get("completed") not in (None, before) and not drift()[0]["under_way"], "it ends")
    print(f"# killed {kills} times")
    document, found = drift()
    assert kills > 1 and document["looked"] == whole, (kills, document["looked"], whole)
    assert found[CODES[2]]["class"] == "by_hand", found


def refused():
    """What SCAYLE does not answer is asked for again."""
    shop.faults("scayle", {"operation": "get_stock", "probability": 0.2, "fault": "500", "times": 1000},
                {"operation": "get_stocks", "probability": 0.2, "fault": "500", "times": 1000})
    found = compare()
    shop.faults("scayle")
    assert found[CODES[2]]["class"] == "by_hand", found


def words():
    assert shop.host.verb("stock", "drift", "--fix", "--check")[0] == 2
    shop.host.stop()
    assert shop.host.verb("stock", "drift", "--fix")[0] == 4
    assert drift()[1][CODES[2]]["shown"] == 55


shop.start()
try:
    neap.case("what agrees is no drift; a code without a variant is missing", agreed)
    neap.case("a figure changed by hand is told, once, with counts", changed_by_hand)
    neap.case("--fix has it read and sent again", fixed)
    neap.case("an edited policy is told by itself", edited)
    neap.case("kill -9 in the middle: it goes on where it was", killed)
    neap.case("errors of SCAYLE end with the right comparison", refused)
    neap.case("acts need the running host, the result does not", words)
finally:
    shop.stop()
neap.done()
