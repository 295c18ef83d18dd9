"""Scripts are edited while orders are held and waiting: what is good serves, what is not changes nothing."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import neap  # noqa: E402

PAYMENTS = "mappings/payments.lua"
SOFORT = '    methods = {\n        sofort = {type = 2, status = "paid", account_name = "PayPal"},\n'

shop = neap.Shop(variables={"SWEEP_MS": "600000", "MIRROR_MS": "600000"})


seeds = iter(range(1000, 100000))


def generation():
    return shop.host.status()["generation"]


def until_served(before):
    neap.until(lambda: generation() != before, "the new scripts serve: " + shop.host.tail(800))
    assert "load_error" not in shop.host.status()


def health():
    status, text, _ = shop.host.get("/healthz")
    assert status == 200, text
    return text.decode()


def refused(name, text, *words):
    """Saves a bad file: the old scripts go on, and everybody is told file and line. Then mends it."""
    good, before = shop.read(name), generation()
    shop.write(name, text)
    try:
        error = neap.until(lambda: shop.host.status().get("load_error"), f"{name} is refused")
        for word in words:
            assert word in error, f"{word!r} is not in: {error}"
        assert generation() == before
        assert "old scripts" in health(), health()
        neap.until(lambda: words[0] in shop.host.tail(), "the log says it")
        shop.until_right(shop.place("guest", seed=next(seeds)))
    finally:
        shop.write(name, good)
        neap.until(lambda: "load_error" not in shop.host.status(), "the mended file serves")
    assert "old scripts" not in health()


def cure():
    held = [shop.place("unmapped_payment", seed=seed) for seed in (1, 2, 3)]
    other = shop.place("unmapped_tax", seed=4)
    for order in held:
        shop.until_held(order, "unmapped_payment")
    shop.until_held(other, "unmapped_tax")
    shop.faults("khaos", {"operation": "ImportOrders", "fault": "500"})
    waiting = shop.place("guest", seed=next(seeds))
    neap.until(lambda: (shop.job(waiting) or {"attempt": 0})["attempt"] > 1, "the order waits for its next try")
    before = generation()
    shop.edit(PAYMENTS, "    methods = {\n", SOFORT)
    until_served(before)
    shop.faults("khaos")
    shop.until_right(waiting, *held)
    shop.until_held(other, "unmapped_tax")
    assert not shop.host.exceptions("unmapped_payment"), shop.host.exceptions()


def syntax():
    refused(PAYMENTS, "return {\n    methods = {\n", "mappings/payments.lua:3", "<eof>")


def raises():
    refused(PAYMENTS, 'local x = nil\nreturn {methods = x.y}', "mappings/payments.lua:2")
    refused(PAYMENTS, 'return {methods = os.exit(0)}', "mappings/payments.lua:1", "'os'")


def endless():
    refused(PAYMENTS, "while true do\nend", "mappings/payments.lua:")


def manifest():
    text = shop.read("client.lua")
    refused("client.lua", text.replace("live_from", "live_form"), "client.lua", "live_form")
    refused("client.lua", text.replace('"2020-01-01T00:00:00Z"', '"last year"'), "client.lua", "live_from")
    refused("client.lua", text.replace('"flows.orders"', '"flows.orderz"'), "flows.orderz")
    refused("client.lua", text.replace("merchant_key = ", "merchant_kee = "), "merchant_kee", "merchant_key")
    refused("client.lua", "return 5", "client.lua", "table")


def selftest():
    text = shop.read("mappings/companies.lua")
    refused("mappings/companies.lua", text.replace('tax = "uk"', 'tax = "usa"'), "usa", "mappings/tax.lua")
    refused("mappings/companies.lua", text.replace('calc = "gross"', 'calc = "grose"'), "calc", "grose")


def renamed():
    refused("client.lua", shop.read("client.lua").replace('name = "demo"', 'name = "other"'), "other", "demo")


def missing_file():
    before, path = generation(), os.path.join(shop.folder, PAYMENTS)
    os.rename(path, path + ".away")
    neap.until(lambda: "payments" in shop.host.status().get("load_error", ""), "the missing file is named")
    assert generation() == before
    os.rename(path + ".away", path)
    neap.until(lambda: "load_error" not in shop.host.status(), "it is back")


def rename_over():
    before, path = generation(), os.path.join(shop.folder, PAYMENTS)
    with open(path + ".tmp", "w", encoding="utf-8") as f:
        f.write(shop.read(PAYMENTS) + "-- saved by renaming\n")
    os.rename(path + ".tmp", path)
    until_served(before)


def several_files():
    """A new file, a file that needs it and a folder of its own, saved one after another and in halves."""
    before = generation()
    held = shop.place("unmapped_carrier", seed=7)
    shop.until_held(held, "unmapped_shipping")
    text = shop.read("mappings/shipping.lua").replace(
        "carriers = {\n", 'carriers = {\n        OWL_POST = require("mappings.owls.post"),\n')
    shop.write("mappings/shipping.lua", text[:len(text) // 2])
    shop.write("mappings/shipping.lua", text)
    os.mkdir(os.path.join(shop.folder, "mappings/owls"))
    shop.write("mappings/owls/post.lua", 'return {courier_code = "DPD48"}\n')
    until_served(before)
    shop.until_right(held)
    before = generation()
    shop.write("mappings/owls/post.lua", 'return {courier_code = "DPDND"}\n')  # in a folder that is new
    until_served(before)


def hangup():
    count = shop.host.tail(100000).count("new scripts serve")
    shop.host.signal(signal.SIGHUP)
    neap.until(lambda: shop.host.tail(100000).count("new scripts serve") > count, "SIGHUP loads")
    shop.until_right(shop.place("guest", seed=next(seeds)))


def under_load():
    """Reloads in the middle of twenty orders: none is lost or doubled."""
    shop.faults("khaos", {"fault": "delay", "ms": 25})
    orders = [shop.place("guest", seed=next(seeds)) for i in range(20)]
    for i in range(6):
        before = generation()
        shop.write(PAYMENTS, shop.read(PAYMENTS) + f"-- edit {i}\n")
        until_served(before)
    shop.until_right(*orders)
    shop.faults("khaos")


def nothing_wrong():
    assert shop.ledger("khaos", brief=1)["summary"]["duplicates"] == 0
    jobs = shop.host.status()["jobs"]
    assert jobs["dead"] == 0 and jobs["held"] == 1, jobs
    assert [e["cause"] for e in shop.host.exceptions()] == ["unmapped_tax"], shop.host.exceptions()


try:
    shop.start()
    neap.case("a new mapping releases what it cures and nothing else", cure)
    neap.case("a syntax error keeps the old scripts, with file and line", syntax)
    neap.case("a script that raises while it loads keeps the old scripts", raises)
    neap.case("a script that never ends while it loads keeps the old scripts", endless)
    neap.case("a bad manifest or bad settings keep the old scripts and name the key", manifest)
    neap.case("a failing selftest keeps the old scripts and says why", selftest)
    neap.case("a running client cannot be renamed", renamed)
    neap.case("a file that goes away is named, and serves when it is back", missing_file)
    neap.case("a file saved by renaming is loaded", rename_over)
    neap.case("several files saved one after another are loaded together in the end", several_files)
    neap.case("SIGHUP loads what did not change too", hangup)
    neap.case("reloads in the middle of orders lose and double none", under_load)
    neap.case("at the end nothing is dead or doubled and only the uncured order waits", nothing_wrong)
finally:
    shop.stop()
neap.done()
