"""Order to cash as of any moment: every difference has its class, the sums tie to the penny, the same moment
gives the same bytes, beside a running host, after kill -9 and after more has happened; CSV and XLSX agree."""

import csv
import datetime
import io
import json
import os
import shutil
import sys
import time
import xml.etree.ElementTree
import zipfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import neap  # noqa: E402

shop = neap.Shop(variables={"DESPATCH_MS": "300"})
orders = {}  # name -> order
past = {}  # what a moment looked like when it was now


def in_khaos(order, **action):
    return shop.control("khaos", "POST", "orders", {"reference": f"SC{order['order_id']}", **action})


def items(order):
    return shop.document(order)["items"]


def count(order, status):
    return sum(1 for item in items(order) if item["status"] == status)


def now():
    """An instant that nothing later falls into."""
    text = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    time.sleep(0.02)
    return text


def files(at, *more):
    """Writes CSV and XLSX and prints JSON; returns (exit code, csv bytes, xlsx bytes, document)."""
    folder = neap.new_folder()
    paths = [os.path.join(folder, "r.csv"), os.path.join(folder, "r.xlsx")]
    code, text = shop.host.verb("reconcile", "--as-of", at, "--csv", paths[0], "--xlsx", paths[1], "--json", *more)
    assert code in (0, 1), text
    with open(paths[0], "rb") as f, open(paths[1], "rb") as g:
        return code, f.read(), g.read(), json.loads(text)


def differences(order, at=None, is_wrong=True):
    document = files(at or now())[3]
    wrong = {c["class"] for c in document["classes"] if c["wrong"]}
    return {d["class"]: d for d in document["differences"]
            if d["order"] == str(order["order_id"]) and (not is_wrong or d["class"] in wrong)}


def until_class(order, name, is_wrong=True):
    neap.until(lambda: name in differences(order, is_wrong=is_wrong), f"order {order['order_id']} is {name}")
    return differences(order, is_wrong=is_wrong)[name]


def pence(text):
    return round(float(text) * 100) if text else 0


def idle():
    jobs = shop.host.status()["jobs"]
    return jobs["ready"] == 0 and jobs["running"] == 0 and jobs["waiting"] == 0


def posted(seed, kind="plain"):
    order = shop.place(kind, seed)
    shop.until_right(order)
    neap.until(lambda: shop.job(order)["state"] == "done", "its job is done")
    return order


def shipped(seed, **action):
    order = posted(seed, "multi_unit")
    in_khaos(order, action="ship", **action)
    neap.until(lambda: count(order, "shipped") == len(items(order)), "it is shipped in SCAYLE")
    neap.until(idle, "nothing is under way")
    return order


def plain():
    order = orders["plain"] = posted(1)
    rows = [r for r in csv.DictReader(io.StringIO(files(now())[1].decode())) if r["order"] == str(order["order_id"])]
    assert rows and all(r["class"] == "agrees" for r in rows), rows
    assert sum(pence(r["posted_gross"]) for r in rows) == order["total_minor"], rows
    assert sum(pence(r["open_gross"]) for r in rows) == order["total_minor"], rows
    assert sum(pence(r[c]) for r in rows for c in ("paid", "preauthorised", "on_account")) == order["total_minor"]
    totals = shop.posted(order)["totals"]
    assert sum(pence(r["posted_net"]) for r in rows) == totals["net"], (rows, totals)


def held():
    order = orders["held"] = shop.place("unknown_sku", 2)
    shop.until_held(order, "unknown_stock_code")
    found = differences(order, is_wrong=False)["held"]
    assert "unknown_stock_code" in found["detail"], found
    assert pence(found["amount"]) == order["total_minor"], found
    past["held"] = now()
    past["held files"] = files(past["held"])


def invoiced():
    order = orders["shipped"] = shipped(10)
    assert differences(order) == {}
    rows = [r for r in csv.DictReader(io.StringIO(files(now())[1].decode())) if r["order"] == str(order["order_id"])]
    assert sum(pence(r["invoiced_gross"]) for r in rows) == order["total_minor"], rows


def unissued():
    order = orders["unissued"] = shipped(20, invoice_stage=60)
    assert pence(differences(order)["shipped_not_invoiced"]["amount"]) == order["total_minor"]
    past["unissued"] = now()
    in_khaos(order, action="issue")
    neap.until(lambda: differences(order) == {}, "the invoice is issued")
    assert "shipped_not_invoiced" in differences(order, past["unissued"]), "the past has changed"


def credited():
    order = orders["credited"] = shipped(30)
    sku = items(order)[0]["variant"]["referenceKey"]
    in_khaos(order, action="credit", items=[{"stock_code": sku, "quantity": 1}])
    neap.until(lambda: count(order, "returned") == 1, "SCAYLE is told")
    neap.until(idle, "nothing is under way")
    assert differences(order) == {}, differences(order)
    in_khaos(order, action="credit", amount_minor=123)
    found = until_class(order, "credited_not_refunded")
    assert pence(found["amount"]) == 123, found
    rows = [r for r in rows_of(order) if pence(r["credited_gross"]) == 123 or r["vat_code"] == "1"]
    assert [r["vat_code"] for r in rows] == ["1"] and pence(rows[0]["credited_vat"]) > 20, rows_of(order)


def rows_of(order):
    return [r for r in csv.DictReader(io.StringIO(files(now())[1].decode())) if r["order"] == str(order["order_id"])]


def credited_whole():
    """All of an order credited: net and VAT come to the posting's, to the penny."""
    order = orders["whole"] = shipped(45)
    skus = [item["variant"]["referenceKey"] for item in items(order)]
    in_khaos(order, action="credit", delivery=True,
             items=[{"stock_code": sku, "quantity": skus.count(sku)} for sku in sorted(set(skus))])
    neap.until(lambda: count(order, "returned") == len(skus), "SCAYLE is told")
    neap.until(idle, "nothing is under way")
    for row in rows_of(order):
        for part in ("net", "vat", "gross"):
            assert row["credited_" + part] == row["posted_" + part], (part, row)


def refunded():
    order = orders["refunded"] = shipped(40)
    shop.control("scayle", "POST", "return", {"order_id": order["order_id"], "count": 1})
    found = until_class(order, "refunded_not_credited")
    back = next(i for i in items(order) if i["status"] == "returned")
    assert pence(found["amount"]) == back["price"]["withTax"], (found, back)
    past["refunded"] = now()
    in_khaos(order, action="credit", items=[{"stock_code": back["variant"]["referenceKey"], "quantity": 1}],
             amount_minor=back["price"]["withTax"])
    neap.until(lambda: differences(order) == {}, "the credit note ties it")
    assert "refunded_not_credited" in differences(order, past["refunded"])


def one_sided():
    order = orders["cancelled"] = posted(50)
    before = now()
    body = {"orderReferenceKey": shop.entry(order)["order_reference_key"], "fulfillingMerchantKey": "fellside",
            "merchantKey": "fellside", "companyId": 1001, "warehouseIds": [31]}
    assert shop.host.post("/demo/scayle/cancellation", body, auth=shop.AUTH)[0] == 201
    found = until_class(order, "cancelled_on_one_side")
    assert pence(found["amount"]) == order["total_minor"], found
    in_khaos(order, action="cancel", reason="Shopper")
    neap.until(lambda: differences(order) == {}, "both sides are cancelled")
    assert differences(order, before) == {}, "what was learnt later is told of before"


def total_differs():
    """Khaos keeps fewer decimals of a price than it said."""
    shop.control("khaos", "POST", "settings", {"price_gross_decimals": 0})
    order = orders["differs"] = shop.place("plain", 60)
    found = until_class(order, "posted_total_differs")
    shop.control("khaos", "POST", "settings", {"price_gross_decimals": None})
    assert pence(found["amount"]) == shop.posted(order)["totals"]["gross"] - order["total_minor"] != 0, found


def killed():
    """kill -9 while orders are posted, sent and credited: nothing is remembered twice or not at all."""
    shop.faults("khaos", {"operation": "ImportOrders", "fault": "reset_after", "probability": 0.3, "times": 1000})
    mine = [shop.place("multi_unit", seed) for seed in range(100, 106)]
    orders.update({f"killed {n}": order for n, order in enumerate(mine)})

    def kill():
        time.sleep(0.25)
        shop.host.kill()
        shop.host.start()

    for _ in range(4):
        kill()
    shop.faults("khaos")
    shop.until_right(*mine)
    for order in mine:
        in_khaos(order, action="ship")
    for _ in range(3):
        kill()
    for order in mine:
        neap.until(lambda order=order: count(order, "shipped") == len(items(order)), "it is shipped")
        sku = items(order)[0]["variant"]["referenceKey"]
        in_khaos(order, action="credit", items=[{"stock_code": sku, "quantity": 1}])
    for _ in range(3):
        kill()
    for order in mine:
        neap.until(lambda order=order: count(order, "returned") == 1, "one unit is back")
    neap.until(idle, "nothing is under way")
    rows = [r for r in csv.DictReader(io.StringIO(files(now())[1].decode()))
            if r["order"] in {str(order["order_id"]) for order in mine}]
    assert all(r["class"] == "agrees" for r in rows), rows
    assert sum(pence(r["invoiced_gross"]) for r in rows) == sum(order["total_minor"] for order in mine)
    credited = sum(pence(r["credited_gross"]) for r in rows)
    assert credited > 0 and credited == sum(pence(r["refunded_gross"]) for r in rows), rows


def sums_tie():
    """Every order's money is somewhere: ordered is posted, or waits; posted is open, cancelled or sent."""
    neap.until(idle, "nothing is under way")
    code, text, _, document = files(now())
    rows = list(csv.DictReader(io.StringIO(text.decode())))
    assert len({r["order"] for r in rows}) == document["orders"] == len(orders), (len(rows), document["orders"])
    for entry in document["sums"]:
        assert pence(entry.get("posted_gross")) == sum(
            pence(entry.get(c)) for c in ("open_gross", "cancelled_gross", "unissued_gross", "invoiced_gross")), entry
        assert pence(entry.get("posted_net")) + pence(entry.get("posted_vat")) == pence(entry.get("posted_gross"))
    placed = sum(o["total_minor"] for o in orders.values() if o["currency"] == "GBP")
    assert sum(pence(e.get("ordered")) for e in document["sums"] if e["currency"] == "GBP") == placed
    assert code == (1 if any(c["wrong"] for c in document["classes"]) else 0)


def spreadsheet_agrees():
    at = now()
    _, text, book, document = files(at)
    rows = list(csv.DictReader(io.StringIO(text.decode())))
    with zipfile.ZipFile(io.BytesIO(book)) as z:
        space = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
        names = [s.attrib["name"] for s in
                 xml.etree.ElementTree.fromstring(z.read("xl/workbook.xml")).findall("m:sheets/m:sheet", space)]
        sheets = [xml.etree.ElementTree.fromstring(z.read(f"xl/worksheets/sheet{i + 1}.xml"))
                  for i in range(len(names))]
    assert names[-1] == "Sums" and set(names[:-1]) == {r["sheet"] for r in rows}, names
    counts = {n: len(s.findall("m:sheetData/m:row", space)) - 1 for n, s in zip(names, sheets)}
    for name in names[:-1]:
        assert counts[name] == sum(1 for r in rows if r["sheet"] == name), (name, counts)
    assert counts["Sums"] == len(document["sums"])


def same_bytes():
    """What a moment looked like is what it looks like now, after all that came since."""
    first = past["held files"]
    assert files(past["held"])[1:] == first[1:], "the past has changed"
    at = now()
    neap.until(idle, "nothing is under way")
    before = files(at)
    shop.host.kill()
    assert files(at) == before, "a stopped host's data tell something else"
    shop.host.start()
    shop.edit("mappings/tax.lua", "return {", "-- edited\nreturn {")
    assert files(at) == before


def bad_words():
    assert shop.host.verb("reconcile", "--as-of", "yesterday")[0] == 2
    assert shop.host.verb("reconcile", "--as-of", "2999-01-01T00:00:00Z")[0] == 2
    assert shop.host.verb("reconcile", "--client", "nobody")[0] == 3
    assert shop.host.verb("reconcile", "--csv", "/nowhere/r.csv")[0] == 4
    empty = shop.host.ask("reconcile", "--as-of", "2021-01-01")
    assert empty["orders"] == 0 and empty["differences"] == [], empty


# ---- replay --------------------------------------------------------------------------------------------------


def replay(*words, folder=None):
    """Returns (exit code, document)."""
    code, text = shop.host.verb("replay", *words, "--folder", folder or shop.folder, "--json")
    assert code in (0, 1), text
    return code, json.loads(text)


def edited(name, old, new):
    """A copy of the client in which one file is edited."""
    folder = os.path.join(neap.new_folder(), "demo")
    shutil.copytree(shop.folder, folder)
    path = os.path.join(folder, name)
    with open(path, encoding="utf-8") as f:
        text = f.read()
    assert old in text, f"{name} does not hold {old!r}"
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace(old, new))
    return folder


def nothing_differs():
    before = [shop.ledger(system) for system in ("scayle", "khaos")]
    code, document = replay("--since", "2020-01-01")
    assert code == 0 and document["differences"] == [], document
    assert document["orders"] == document["same"] == len(orders) and document["unrecorded"] == 0, document
    assert [shop.ledger(system) for system in ("scayle", "khaos")] == before, "something left the host"


def one_order():
    for name in (str(orders["plain"]["order_id"]), f"SC{orders['plain']['order_id']}"):
        code, document = replay(name)
        assert (code, document["orders"], document["same"]) == (0, 1, 1), document
    assert replay(str(orders["held"]["order_id"]))[1]["same"] == 1, "held then, held now"
    assert shop.host.verb("replay", "nobody", "--folder", shop.folder)[0] == 3
    assert shop.host.verb("replay", "--folder", shop.folder)[0] == 2


def edited_mapping():
    folder = edited("mappings/companies.lua", 'brand = "Fellside Outdoor"', 'brand = "Fellside"')
    code, document = replay("--since", "2020-01-01", folder=folder)
    assert code == 1 and document["results"] == {"differs": len(orders) - 1}, document["results"]
    found = [f for d in document["differences"] for f in d["fields"]]
    assert {(f["path"], f["before"], f["now"]) for f in found} == {("header.brand", "Fellside Outdoor", "Fellside")}
    assert all(m["gross"] == 0 for m in document["money"]), document["money"]
    code, text = shop.host.verb("replay", "--since", "2020-01-01", "--folder", folder, "--diff")
    assert code == 1 and "header.brand: Fellside Outdoor -> Fellside" in text, text


def would_be_held():
    folder = edited("mappings/companies.lua", 'delivery_countries = {"GB", "IM"}', 'delivery_countries = {"IM"}')
    code, document = replay(str(orders["plain"]["order_id"]), folder=folder)
    assert code == 1 and document["results"] == {"held": 1}, document
    assert document["money"][0]["gross"] == -orders["plain"]["total_minor"], document["money"]


def edited_scripts():
    scripts = os.path.join(neap.new_folder(), "scripts")
    shutil.copytree(os.path.join(neap.ROOT, "scripts"), scripts)
    path = os.path.join(scripts, "flows/orders/payments.lua")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace('local DEFAULT_AUTH = "SCAYLE"', 'error("broken on purpose", 0)\nlocal DEFAULT_AUTH = "S"'))
    assert shop.host.verb("replay", "--since", "2020-01-01", "--folder", shop.folder, "--scripts", scripts)[0] == 1
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("transaction_id = not is_account and payment.transaction or nil",
                             "transaction_id = nil"))
    code, document = replay(str(orders["plain"]["order_id"]), "--scripts", scripts)
    paths = {f["path"] for d in document["differences"] for f in d["fields"]}
    assert code == 1 and paths == {"payments[1].transaction_id"}, document


REACHES_OUT = """
local http = require("neap.http")
local store = require("neap.store")
return function(work, standard)
    local ended = standard(work)
    local said = {}
    for i, try in ipairs({
        function() http.request({connection = "khaos", path = "/soap/IKosWeb", method = "POST", body = "x"}) end,
        function() http.all({{connection = "scayle", path = "/orders", method = "POST", body = "x"}}) end,
        function() work.job:effect({connection = "khaos", name = "import_order", key = "k", class = "once"}) end,
        function() work.job:emit({source = "s", id = "replayed", name = "order.found"}) end,
        function() work.job:step("s", function() end) end,
        function() work.job:open_exception({cause = "stuck_order", subject = "replayed", message = "m"}) end,
        function() store.put("orders", "order:replayed", {}) end,
        function() store.put_many("orders", {["order:replayed"] = {}}) end,
        function() store.delete("orders", work.key) end,
        function() store.increment("pulse_counts", "replayed") end,
        function() store.atomic(function() end) end,
    }) do
        local ok, err = pcall(try)
        said[i] = ok and "DONE" or tostring(err)
    end
    if work.posting then
        work.posting.header.order_note = table.concat(said, " | ")
    end
    return ended
end
"""


def reaches_out():
    """A client's own stage that would act does nothing in a replay, and hears why."""
    folder = edited("client.lua", "despatch_promise_hours = 48,",
                    "despatch_promise_hours = 48, stages = {map = \"flows_reach\"},")
    with open(os.path.join(folder, "flows_reach.lua"), "w", encoding="utf-8") as f:
        f.write(REACHES_OUT)

    def outside():
        return ([shop.ledger(system) for system in ("scayle", "khaos")], shop.host.exceptions(),
                shop.host.order("replayed"))
    before = outside()
    code, document = replay(str(orders["plain"]["order_id"]), folder=folder)
    said = {f["path"]: f["now"] for f in document["differences"][0]["fields"]}["header.order_note"].split(" | ")
    assert code == 1 and len(said) == 11 and "DONE" not in said, said
    for text in said[:2]:
        assert "call this from the flow's own coroutine" in text, said
    for name, text in zip(("effect", "emit", "step", "open_exception"), said[2:6]):
        assert f"job.{name} is not there: a rehearsal only computes" in text, said
    for text in said[6:]:
        assert "nothing is written here: this run only reads what a host recorded" in text, said
    assert outside() == before, "something left the replay"
    with open(os.path.join(folder, "flows_reach.lua"), "w", encoding="utf-8") as f:
        f.write("return function(work, standard) standard(work) work.job:emit({}) end")
    code, document = replay("--since", "2020-01-01", folder=folder)
    assert code == 1 and set(document["results"]) <= {"failed"}, document["results"]
    assert "job.emit is not there" in document["differences"][0]["fields"][0]["now"], document["differences"][0]


def erased():
    order = orders["shipped"]
    report = json.loads(shop.host.verb("erase", str(order["order_id"]), "--reason", "asked", "--json")[1])
    assert report["erased"]["documents"] == 1, report
    code, document = replay("--since", "2020-01-01")
    assert (code, document["unrecorded"], document["orders"]) == (0, 1, len(orders) - 1), document


shop.scayle.variables["SANDBOX_WEBHOOK_PATH"] = "/scayle/webhook"
shop.start()
try:
    neap.case("a posted order ties, net, VAT, gross and payments", plain)
    neap.case("a held order is held, with its cause and its money", held)
    neap.case("sent and invoiced: it ties", invoiced)
    neap.case("sent, the invoice not issued: shipped not invoiced, until it is", unissued)
    neap.case("a credit note with goods ties; money alone is credited and not refunded", credited)
    neap.case("a whole order credited is its posting, net and VAT", credited_whole)
    neap.case("returned in SCAYLE: refunded and not credited, until Khaos credits it", refunded)
    neap.case("cancelled in SCAYLE alone: on one side, until Khaos follows", one_sided)
    neap.case("a total in Khaos that is not the posted one is told", total_differs)
    neap.case("kill -9 while orders are posted, sent and credited: they tie", killed)
    neap.case("the sums tie: every order's money is somewhere, once", sums_tie)
    neap.case("the spreadsheet has a sheet per company and the rows of the CSV", spreadsheet_agrees)
    neap.case("the same moment gives the same bytes, whatever came since", same_bytes)
    neap.case("wrong words are refused", bad_words)
    neap.case("replay: the scripts in use post the same, and nothing leaves the host", nothing_differs)
    neap.case("replay of one order, by any of its names; a held one stays held", one_order)
    neap.case("replay through an edited mapping: each field that differs, and the money", edited_mapping)
    neap.case("replay: an order that would be held now is its whole money", would_be_held)
    neap.case("replay through edited scripts, broken ones too", edited_scripts)
    neap.case("replay: a stage that would act outside is refused, in words", reaches_out)
    neap.case("replay: an erased order has no record any more", erased)
finally:
    shop.stop()
neap.done()
