"""Audit: a tenant with a planted gap of every kind. The report finds exactly those, to the penny, and both
sandboxes' logs prove that it only read; budgets, faults, Ctrl-C and a script that tries to write end in a report
that says what it did not look at."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import neap  # noqa: E402

DAY_MS = 24 * 3600 * 1000
TOKEN = {"X-Access-Token": "sandbox-token"}
SOAP_READS = re.compile(r"^(Get|Export)[A-Z]")
SHOP_READS = {"list_orders", "get_order", "list_carriers", "list_products", "list_stocks"}
NOT_OPEN = {"shipped", "cancelled", "returned", "unpaid"}
HOSTILE = ["=1+1", "<img src=x onerror=alert(1)>", "\"quoted'&amp;"]

shop = neap.Shop(apart=True, variables={"GRACE_MS": "100", "SWEEP_MS": "200"})
shop.scayle.variables["SANDBOX_LAG_MS"] = str(30 * DAY_MS)  # nothing is delegated: nobody has gone live
temporary = neap.new_folder()
orders = {}  # name -> what placing it said
base = {}


def command(*words, variables=None):
    line = [neap.BINARY, "audit", shop.folder, "--secrets", os.path.join(neap.ROOT, "examples/demo/secrets")]
    for name, value in {**shop.host.variables, **(variables or {})}.items():
        line += ["--set", f"{name}={value}"]
    return line + ["--per-minute", "60000", "--patience", "1", *words]


def audit(*words, variables=None):
    """Returns (exit code, document)."""
    result = subprocess.run(command("--json", *words, variables=variables), capture_output=True, text=True,
                            cwd=temporary, env={**os.environ, "TMPDIR": temporary}, timeout=neap.WAIT_S)
    assert result.stdout, f"exit code {result.returncode}: {result.stderr}"
    assert os.listdir(temporary) == [], f"left behind: {os.listdir(temporary)}"
    return result.returncode, json.loads(result.stdout)


def findings(document):
    return {(f["cause"], f["subject"]): f for f in document["findings"]}


def names(finding):
    return {o["name"] for o in finding["objects"]}


def part(document, words):
    return next(p for p in document["parts"] if words in p["name"])


def calls(system):
    return shop.control(system, "GET", "calls")["calls"]


def forget_calls():
    return len(calls("scayle")), len(calls("khaos"))


def only_read(since):
    """What both systems were asked since then; none of it a write."""
    asked = calls("scayle")[since[0]:], calls("khaos")[since[1]:]
    for call in asked[0]:
        assert call["method"] == "GET" and call["operation"] in SHOP_READS, call
    for call in asked[1]:
        assert SOAP_READS.match(call["operation"]), call
    assert asked[0] or asked[1], "nothing was asked at all"
    return len(asked[0]) + len(asked[1])


def place(name, kind="plain", seed=1, **past):
    """Minutes apart unless it is said, so that nothing looks like the same order twice by chance."""
    orders[name] = shop.place(kind, seed, past={"confirmed_ms": ago(len(orders) / 100), **past})
    return orders[name]


def changed(name, change, kind="plain", seed=1, **past):
    """A good order, and it with one thing changed."""
    document = shop.document(place(name + " (as it was)", kind, seed))
    change(document)
    document["past"] = {"confirmed_ms": ago(len(orders) / 100), **past}
    orders[name] = shop.place_document(document)


def ago(days):
    return int(time.time() * 1000) - int(days * DAY_MS)


def number(name):
    return str(orders[name]["order_id"])


def money(*placed):
    sums = {}
    for name in placed:
        order = orders[name]
        sums[order["currency"]] = sums.get(order["currency"], 0) + order["total_minor"]
    return sums


# ---- planting ------------------------------------------------------------------------------------


def first_sku(document):
    return document["items"][0]["variant"]["referenceKey"]


def set_sku(sku):
    def change(document):
        for item in document["items"]:
            item["variant"]["referenceKey"] = sku
    return change


def plant_orders():
    place("already posted", seed=3)
    shop.host.start()
    neap.until(lambda: shop.posted(orders["already posted"]), "one order is in Khaos by another hand")
    shop.host.stop()
    for seed in range(20, 26):
        place(f"good {seed}", seed=seed)
    sku = first_sku(shop.document(orders["good 20"]))
    changed("misspelt", set_sku(sku.lower()), seed=31)
    changed("unknown", set_sku("FO-GONE-1"), seed=32)
    changed("ghost", set_sku("FO-AUD-GHOST"), seed=33)  # a variant, but no stock code
    for kind in ("unmapped_tax", "unmapped_payment", "unmapped_market", "undeclared_promotion", "totals_do_not_tie"):
        place(kind, kind, seed=5)
    place("another market", "unmapped_market", seed=6)
    place("long ago", seed=41, confirmed_ms=1575200000000)  # before live_from
    place("nearly closed", seed=42, confirmed_ms=ago(12))
    place("open too long", seed=43, confirmed_ms=ago(4))
    place("shipped", seed=44, confirmed_ms=ago(30), state="shipped")
    place("cancelled", seed=45, confirmed_ms=ago(2), state="cancelled")
    place("returned", seed=46, confirmed_ms=ago(30), state="returned")
    place("unpaid", seed=47, state="unpaid")
    twice = ago(1)
    document = shop.document(place("first of two", seed=48, confirmed_ms=twice))
    document["past"] = {"confirmed_ms": twice}
    orders["second of two"] = shop.place_document(document)
    place("same number", seed=49, public_key="FO-SAME", confirmed_ms=ago(1.1))
    place("same number again", seed=50, public_key="FO-SAME", confirmed_ms=ago(1.2))
    changed("shared", sell_in_part, "multi_unit", seed=51)
    place("undated", seed=52, undated=True)
    return sku


def sell_in_part(document):
    """Another merchant sells one of its units."""
    document["items"][0]["merchant"] = {"id": 99, "referenceKey": "another"}


def set_figure(sku, quantity):
    shop.scayle.json("POST", f"/scayle/api/admin/v1/variants/key%3D{sku}/stocks",
                     {"quantity": quantity, "warehouseReferenceKey": "KC-MAIN",
                      "changedAt": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())}, headers=TOKEN)


def plant_codes():
    for code, level in {"FO-AUD-MORE": 4, "FO-AUD-LESS": 9, "FO-AUD-SAME": 7, "FO-AUD-NONE": 5, "FO-AUD-ALONE": 3,
                        "FO-AUD-TWIN": 1, "fo-aud-twin": 1, "FO-AUD-SPELT": 1}.items():
        shop.control("khaos", "POST", "stock", {"code": code, "level": level, "buffer": 0})
    shop.control("khaos", "POST", "stock", {"code": "FO-AUD-OLD", "level": 2, "discontinued": True})
    shop.control("khaos", "POST", "stock", {"code": "FO-AUD-STYLE", "level": 1, "buffer": 0})  # its sizes are sold
    shop.control("khaos", "POST", "stock", {"code": "FO-AUD-SIZE", "level": 6, "buffer": 0, "parent": "FO-AUD-STYLE"})
    shop.control("scayle", "POST", "products", {"products": [
        {"key": "P-AUD", "variants": [{"sku": s} for s in ("FO-AUD-MORE", "FO-AUD-LESS", "FO-AUD-SAME", "FO-AUD-NONE",
                                                           "FO-AUD-TWIN", "fo-aud-twin", "fo aud spelt", "FO-AUD-SIZE")]},
        {"key": "P-GHOST", "variants": [{"sku": "FO-AUD-GHOST"}, {}] + [{"sku": s} for s in HOSTILE]},
        {"key": "P-TWICE", "variants": [{"sku": "FO-AUD-SAME"}]},
    ]})
    set_figure("FO-AUD-MORE", 10)
    set_figure("FO-AUD-LESS", 2)
    set_figure("FO-AUD-SAME", 7)
    set_figure("FO-AUD-TWIN", 1)
    set_figure("FO-AUD-SIZE", 6)
    set_figure("fo-aud-twin", 1)


# ---- cases ---------------------------------------------------------------------------------------


def before_anything():
    """What the sandboxes are made with: codes without figures and variants, nothing else."""
    since = forget_calls()
    code, document = audit()
    only_read(since)
    base.update(findings(document))
    assert set(base) == {("no_variant", "Khaos"), ("no_stock_figure", "KC-MAIN")}, base.keys()
    assert code == 1 and document["complete"] and document["mapped"] == {}, document


def planted():
    base["sku"] = plant_orders()
    plant_codes()
    since = forget_calls()
    before = shop.ledger("khaos", brief=1), shop.ledger("scayle")
    code, document = audit()
    found = findings(document)
    assert code == 1 and document["complete"], [p for p in document["parts"] if p.get("stopped")]
    assert document["calls"] == only_read(since), document["calls"]
    assert (shop.ledger("khaos", brief=1), shop.ledger("scayle")) == before
    wanted = {
        ("unknown_stock_code", base["sku"].lower()): ["misspelt"],
        ("unknown_stock_code", "FO-GONE-1"): ["unknown"],
        ("unknown_stock_code", "FO-AUD-GHOST"): ["ghost"],
        ("unmapped_tax", "uk 0.13"): ["unmapped_tax"],
        ("unmapped_payment", "sofort"): ["unmapped_payment"],
        ("unmapped_market", "1430"): ["unmapped_market", "another market"],
        ("unmapped_promotion", "promotion 66ffffffc2d04e7b9a55ffff"): ["undeclared_promotion"],
        ("order_already_processed", "somebody worked on the order already"): ["already posted"],
        ("before_live_from", "shop country 1412"): ["long ago"],
        ("near_force_close", "shop country 1412"): ["long ago", "nearly closed"],
        ("open_too_long", "shop country 1412"): ["open too long"],
        ("reference_in_khaos", "open orders"): ["already posted"],
        ("duplicate_order", "orders of one customer, alike in total, currency and minute"):
            ["first of two", "second of two"],
        ("duplicate_order", "orders with the same public number"): ["same number", "same number again"],
        ("unmapped_market", "shared_reference"): ["shared"],
        ("totals_do_not_tie", "orders whose totals do not tie"): ["totals_do_not_tie", "shared", "undated"],
    }
    by_orders = {key: f for key, f in found.items() if f["kind"] == "order"}
    assert set(by_orders) == set(wanted), set(by_orders) ^ set(wanted)
    for key, placed in wanted.items():
        finding = found[key]
        assert names(finding) == {number(name) for name in placed}, (key, names(finding))
        assert finding["money"] == money(*placed), (key, finding["money"], money(*placed))
        assert finding["count"] == finding["open"] == len(placed), (key, finding)
    references = part(document, "References")
    # Other merchants may post an order that is shared under what would be our own reference.
    assert references["looked"] == references["of"] == len(orders) - len(NOT_OPEN) - 1, references
    held_money_ties(document)
    words_and_owners(found)


def held_money_ties(document):
    """The summary: each order once, whatever holds it."""
    held = ["misspelt", "unknown", "ghost", "unmapped_tax", "unmapped_payment", "unmapped_market", "another market",
            "undeclared_promotion", "totals_do_not_tie", "already posted", "shared", "undated"]
    not_mapped = {"cancelled", "returned", "unpaid"}
    for part_name, wanted in (("held", held), ("held_open", held),
                              ("mapped", [name for name in orders if name not in not_mapped])):
        got = {currency: s["minor"] for currency, s in document[part_name].items()}
        assert got == money(*wanted), (part_name, got, money(*wanted))
        assert sum(s["orders"] for s in document[part_name].values()) == len(wanted), part_name
    mapped = part(document, "mapped")
    assert mapped["looked"] == mapped["of"] == mapped["in_all"] == len(orders) - len(not_mapped), mapped
    assert not mapped.get("ended"), f"what is cancelled is asked for: {mapped}"


def words_and_owners(found):
    misspelt = found[("unknown_stock_code", base["sku"].lower())]
    assert f"did you mean {base['sku']}?" in misspelt["message"], misspelt["message"]
    assert misspelt["owner"] == "merchandising" and found[("unmapped_tax", "uk 0.13")]["owner"] == "operations"
    for finding in found.values():
        assert finding["message"] and finding["remedy"], finding


def planted_codes():
    found = findings(audit()[1])
    added = {key: names(f) - (names(base[key]) if key in base else set())
             for key, f in found.items() if f["kind"] != "order"}
    assert added == {
        ("no_code", "SCAYLE"): {o["name"] for o in found[("no_code", "SCAYLE")]["objects"]},
        ("unknown_stock_code", "variants of SCAYLE"): {"FO-AUD-GHOST", *HOSTILE},
        ("stock_code_spelling", "variants of SCAYLE"): {"fo aud spelt"},
        ("duplicate_code", "SCAYLE"): {"FO-AUD-SAME"},
        ("duplicate_code", "Khaos"): {"FO-AUD-TWIN"},
        ("no_variant", "Khaos"): {"FO-AUD-ALONE"},
        ("no_stock_figure", "KC-MAIN"): {"FO-AUD-NONE"},
        ("stock_drift", "too many"): {"FO-AUD-MORE"},
        ("stock_drift", "too few"): {"FO-AUD-LESS"},
    }, added
    assert found[("no_code", "SCAYLE")]["count"] == 1
    gaps = found[("unknown_stock_code", "variants of SCAYLE")]
    ghost = next(o for o in gaps["objects"] if o["name"] == "FO-AUD-GHOST")
    sold = sum(item["price"]["withTax"] for item in shop.document(orders["ghost"])["items"])
    assert gaps["money"] == ghost["money"] == {"GBP": sold}, (gaps["money"], ghost, sold)
    assert ghost["open"] and ghost["note"].endswith("in 1 of the orders looked at, 1 open now"), ghost
    note = found[("stock_drift", "too many")]["objects"][0]["note"]
    assert note == "SCAYLE shows 10, Khaos has 4 available = 4", note
    assert found[("stock_code_spelling", "variants of SCAYLE")]["objects"][0]["note"] == "did you mean FO-AUD-SPELT"


def values_seen():
    document = audit("--codes", "0")[1]
    seen = {(v["dimension"], v["value"]): v for v in document["values"]}
    assert seen[("tax rate", "13%")]["orders"] == 1 and seen[("tax rate", "13%")]["held"] == 1
    assert seen[("payment method", "sofort")]["held"] == 1
    assert seen[("market", "1430 (CH)")]["money"] == money("unmapped_market", "another market")
    everything = sum(s["orders"] for s in document["mapped"].values())
    assert sum(v["orders"] for key, v in seen.items() if key[0] == "currency") == everything


def files():
    """The same input is the same bytes; what is hostile is harmless; no person is in it."""
    folder = neap.new_folder()
    texts = []
    for name in ("a", "b"):
        paths = [os.path.join(folder, name + end) for end in (".html", ".csv")]
        audit("--html", paths[0], "--csv", paths[1])
        texts.append([open(path, encoding="utf-8", newline="").read() for path in paths])
        time.sleep(0.01)
    assert texts[0][1] == texts[1][1]
    date = re.compile(r"<meta name=\"date\" content=\"[^\"]*\">")
    assert date.sub("", texts[0][0]) == date.sub("", texts[1][0]) and date.search(texts[0][0])
    page, table = texts[0]
    assert "<img" not in page and "&lt;img src=x onerror=alert(1)&gt;" in page and "&quot;quoted&#39;&amp;amp;" in page
    assert "<script" not in page and not re.search(r"(src|href)=", re.sub(r"&lt;.*?&gt;", "", page))
    rows = list(csv.reader(table.splitlines()))
    assert ["'=1+1"] == [r[3] for r in rows if r[3].endswith("=1+1")], "a formula"
    by_order = {r[3]: r for r in rows if r[1] == "unmapped_payment"}
    pounds = f"{orders['unmapped_payment']['total_minor'] / 100:.2f}"
    assert by_order[number("unmapped_payment")][4:7] == ["open", "GBP", pounds]
    person = shop.document(orders["good 20"])
    for text in (person["customer"]["email"], person["customer"]["lastName"], str(person["customer"]["id"]),
                 person["address"]["billing"]["street"]):
        assert text not in page and text not in table, text


def bounded():
    since = forget_calls()
    code, document = audit("--max-calls", "12")
    assert code == 1 and not document["complete"] and document["calls"] == 12
    assert only_read(since) == 12
    stopped = part(document, "mapped")
    assert "the budget of calls was used up" in stopped["stopped"] and stopped["looked"] < stopped["of"], stopped
    listed = part(audit("--max-calls", "6")[1], "listed")
    assert listed.get("stopped", "").endswith("/CH: its share of the budget (50% of 6 calls) was used up"), listed
    few = audit("--orders", "3", "--codes", "2")[1]
    assert (part(few, "mapped")["looked"], part(few, "mapped")["of"]) == (3, 3)
    assert part(few, "mapped")["in_all"] > 3 and part(few, "figures")["looked"] == 2
    recent = audit("--since", "2026-01-01", "--codes", "0")[1]
    assert part(recent, "mapped")["of"] == part(recent, "mapped")["in_all"]
    assert part(recent, "mapped")["in_all"] < part(few, "mapped")["in_all"]


def stopped_by_hand():
    process = subprocess.Popen(command("--json", "--per-minute", "120"), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": temporary})
    since = len(calls("scayle"))
    neap.until(lambda: len(calls("scayle")) > since + 6, "it asks")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=neap.WAIT_S)
    document = json.loads(out)
    assert process.returncode == 1 and not document["complete"], err
    assert any("it was stopped by hand" in (p.get("stopped") or "") for p in document["parts"]), document["parts"]
    assert os.listdir(temporary) == []


def refused_in_the_middle():
    """Trouble that passes is asked through; trouble that stays is a report that says so."""
    whole = audit()[1]
    shop.faults("scayle", {"operation": "get_order", "nth": 5, "fault": "500", "times": 2},
                {"operation": "list_products", "nth": 1, "fault": "429", "times": 1})
    shop.faults("khaos", {"operation": "ExportCompany", "nth": 3, "fault": "fault_any_status", "times": 1})
    passed = audit()[1]
    assert passed["complete"] and passed["findings"] == whole["findings"], passed["parts"]
    shop.faults("scayle", {"path": "/orders/" + number("good 22"), "fault": "500", "times": 1000})
    poisoned = audit()[1]
    mapped = part(poisoned, "mapped")
    assert (mapped["failed"], mapped["looked"]) == (1, mapped["of"] - 1) and not poisoned["complete"], mapped
    assert not mapped.get("stopped") and poisoned["findings"] == whole["findings"]
    for system, rule, name in (
            ("scayle", {"operation": "get_order", "nth": 4, "fault": "500", "times": 1000}, "mapped"),
            ("scayle", {"operation": "list_products", "fault": "truncate", "times": 1000}, "Variants"),
            ("khaos", {"operation": "ExportCompany", "nth": 4, "fault": "503", "times": 1000}, "mapped"),
            ("khaos", {"operation": "GetStockList", "fault": "truncate", "times": 1000}, "Stock codes of Khaos"),
            ("khaos", {"operation": "ExportStockStatus", "fault": "fault_any_status", "times": 1000}, "figures")):
        shop.faults("scayle")
        shop.faults("khaos")
        shop.faults(system, rule)
        code, document = audit()
        assert code == 1 and not document["complete"], rule
        assert re.search("could not be asked|Khaos|SCAYLE", part(document, name)["stopped"]), (rule, document["parts"])
    shop.faults("scayle")
    shop.faults("khaos")


def tries_to_write():
    """A client's own stage that writes wherever it can: nothing of it leaves."""
    shop.write("flows_evil.lua", EVIL)
    shop.edit("client.lua", "despatch_promise_hours = 48,",
              "despatch_promise_hours = 48, stages = {map = \"flows_evil\"},")
    since = forget_calls()
    before = shop.ledger("khaos", brief=1), shop.ledger("scayle")
    document = audit("--codes", "0")[1]
    only_read(since)
    assert (shop.ledger("khaos", brief=1), shop.ledger("scayle")) == before
    assert document["refused"] == 4 * part(document, "mapped")["looked"], document["refused"]
    shop.edit("client.lua", ", stages = {map = \"flows_evil\"}", "")


EVIL = """
local http = require("neap.http")
local soap = "<Envelope><Body><%s></%s></Body></Envelope>"
return function(work, standard)
    local order = "/shops/fo/countries/GB/orders/" .. work.order_id
    for _, request in ipairs({
        {connection = "scayle", method = "PUT", path = order .. "/reference-key", body = "{}"},
        {connection = "scayle", method = "POST", path = "/fulfillment/cancellations", body = "{}"},
        {connection = "khaos", method = "POST", path = "/soap/IKosWeb", headers = {SOAPAction = "ImportOrders"},
            body = soap:format("ImportOrders", "ImportOrders")},
        {connection = "khaos", method = "POST", path = "/soap/IKosWeb", headers = {SOAPAction = "ExportOrders"},
            body = soap:format("ImportOrders", "ImportOrders")},
    }) do
        local answer, err = http.request(request)
        assert(not answer and err.kind == "invalid", "it left")
    end
    return standard(work)
end
"""


def on_the_cloud():
    code, document = audit(variables={"LINE": "cloud"})
    found = findings(document)
    assert code == 1 and not document["complete"]
    for name in ("Stock codes", "Variants", "figures"):
        assert "Khaos Control Cloud" in part(document, name)["stopped"], part(document, name)
    assert names(found[("unmapped_payment", "sofort")]) == {number("unmapped_payment")}
    assert ("unknown_stock_code", "FO-GONE-1") not in found


def carriers():
    """Comes with the delegation, so the tenant's list stands for it."""
    assert not [s for c, s in findings(audit("--codes", "0")[1]) if c == "unmapped_shipping"]
    files_before = {name: shop.read(name) for name in ("mappings/shipping.lua", "mappings/companies.lua")}
    for name, text in files_before.items():
        shop.write(name, text.replace("DHL_DE", "DHL_GONE"))
    found = findings(audit("--codes", "0")[1])
    for name, text in files_before.items():
        shop.write(name, text)
    finding = found[("unmapped_shipping", "DHL_DE")]
    assert finding["kind"] == "value" and finding["count"] == 1 and finding["owner"] == "operations", finding


def approved():
    """Orders that a staging rule would show to a person; those that a rule approves are no finding."""
    def with_rules(rules):
        shop.edit("client.lua", "despatch_promise_hours = 48,", f"staging = {{rules = {{{rules}}}}},"
                                                                "despatch_promise_hours = 48,")
        found = findings(audit("--codes", "0")[1])
        shop.edit("client.lua", f"staging = {{rules = {{{rules}}}}},", "")
        return found
    by_person = with_rules('{name = "all of it", markets = {"1412"}}')
    finding = by_person[("approval", "all of it")]
    assert number("good 20") in names(finding) and number("misspelt") not in names(finding), finding
    assert finding["money"]["GBP"] >= orders["good 20"]["total_minor"], finding["money"]
    by_rule = with_rules('{name = "all of it", markets = {"1412"}, approval = "rule"}')
    assert ("approval", "all of it") not in by_rule, by_rule


def as_the_products_flow_has_it():
    """The client's own words on what is no gap: codes that are not for the web, bundles without a code."""
    def gaps(cause, subject):
        return names(findings(audit("--orders", "1")[1]).get((cause, subject), {"objects": []}))
    shop.control("scayle", "POST", "products", {"products": [
        {"key": "P-SET", "variants": [{"sku": "FO-AUD-SET", "is_composite": True}]}]})
    assert "FO-AUD-ALONE" in gaps("no_variant", "Khaos")
    assert "FO-AUD-SET" in gaps("unknown_stock_code", "variants of SCAYLE")
    shop.edit("client.lua", "    flows = {\n", "    flows = {\n        products = {use = \"flows.products\", settings = {"
              "khaos = khaos, merchant_key = \"fellside\", composites = false, not_for_web = {\"FO-AUD-AL*\"}}},\n")
    assert "FO-AUD-ALONE" not in gaps("no_variant", "Khaos")
    found = gaps("unknown_stock_code", "variants of SCAYLE")
    assert "FO-AUD-SET" not in found and "FO-AUD-GHOST" in found, found


def hostile_values():
    """What a shop calls its payment method is shown in every form of the report, and commands none of its readers."""
    key = "=cmd|'/c x'!A1\x1b]0;owned\x07\n<script>alert(1)</script>"

    def change(document):
        document.update(json.loads(json.dumps(document).replace('"sofort"', json.dumps(key))))
    document = shop.document(place("sofort again", "unmapped_payment", seed=7))
    change(document)
    document["past"] = {"confirmed_ms": ago(len(orders) / 100)}
    orders["hostile"] = shop.place_document(document)
    paths = [os.path.join(neap.new_folder(), "a" + end) for end in (".html", ".csv", ".xlsx")]
    result = subprocess.run(command("--codes", "0", "--html", paths[0], "--csv", paths[1], "--xlsx", paths[2]),
                            capture_output=True, text=True, timeout=neap.WAIT_S)
    assert result.returncode == 1 and "=cmd|" in result.stdout, result.stderr
    assert all(c.isprintable() for c in result.stdout.replace("\n", "")), repr(result.stdout)
    assert not any(line.startswith("<script") for line in result.stdout.splitlines())
    page = open(paths[0], encoding="utf-8").read()
    assert "&lt;script&gt;alert(1)" in page and "<script" not in page and "\x1b" not in page and "\x07" not in page
    with open(paths[1], encoding="utf-8", newline="") as f:
        cells = [row[2] for row in csv.reader(f) if row[1] == "unmapped_payment" and "cmd" in row[2]]
    assert cells == ["'" + key], cells
    with zipfile.ZipFile(paths[2]) as book:
        sheets = "".join(book.read(n).decode() for n in book.namelist() if "/worksheets/" in n)
    assert "<f>" not in sheets and "=cmd|" in sheets and "<script" not in sheets
    found = findings(audit("--codes", "0")[1])
    assert names(found[("unmapped_payment", key)]) == {number("hostile")}


def no_space():
    """What it reads lies in a folder; when that is full it ends and says so. It waited for space for ever, and with a
    full map it began again and counted nothing of what it had listed already."""
    folder = neap.new_folder()
    mount = f"mount -t tmpfs -o size=40m none {folder}"  # less than what the store keeps free
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True).returncode != 0:
        raise neap.Skip("no file system of one's own can be mounted here")
    result = subprocess.run(["unshare", "-rm", "sh", "-c", mount + f' && TMPDIR={folder} exec "$@"', "sh", *command()],
                            capture_output=True, text=True, timeout=neap.WAIT_S)
    assert result.returncode == 4 and "no space left in " + folder in result.stderr, result
    assert "TMPDIR" in result.stderr and result.stdout == "", result


def words():
    def exit_code(*line):
        return neap.run("audit", *line)[0]
    assert exit_code("--orders", "0") == 2 and exit_code("--since", "yesterday") == 2 and exit_code("a", "b") == 2
    secretless = {k: v for k, v in os.environ.items() if "SCAYLE" not in k}
    code, text = neap.run("audit", shop.folder, "--secrets", temporary, env=secretless)
    assert code == 1 and "SCAYLE_TOKEN" in text, text
    code, text = neap.run("audit", "/nowhere")
    assert code == 1 and "client.lua" in text, text


shop.scayle.start()
shop.khaos.start()
try:
    neap.case("an untouched pair of systems has codes without figures, and no more", before_anything)
    neap.case("orders: exactly what was planted, to the penny, and nothing was written", planted)
    neap.case("stock codes: gaps both ways, spellings, duplicates, drift", planted_codes)
    neap.case("the values that real orders hold are counted", values_seen)
    neap.case("page and rows: same bytes, escaped, without persons", files)
    neap.case("budgets bind, and the report says what was not looked at", bounded)
    neap.case("Ctrl-C ends in a report of what was seen", stopped_by_hand)
    neap.case("trouble that passes is asked through, trouble that stays is told", refused_in_the_middle)
    neap.case("a script that tries to write changes nothing", tries_to_write)
    neap.case("on the Cloud it says what cannot be audited, and audits the rest", on_the_cloud)
    neap.case("a carrier of the tenant without a courier code is a gap", carriers)
    neap.case("orders that a person would have to approve are told", approved)
    neap.case("what the products flow's settings leave out is no gap", as_the_products_flow_has_it)
    neap.case("what is hostile in an order's values is harmless in every form", hostile_values)
    neap.case("without space for what it reads it ends and says so", no_space)
    neap.case("wrong words and missing secrets are told", words)
finally:
    shop.stop()
neap.done()
