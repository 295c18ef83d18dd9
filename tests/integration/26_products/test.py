"""Products: SCAYLE's variants are compared with Khaos's stock codes; what no order could be posted with is an exception
before anybody orders it, closes by proof, and the comparison goes on after kill -9 where it was."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import neap  # noqa: E402

FLOW = """    flows = {
        products = {use = "flows.products",
            schedules = {step = {every_ms = 200}},
            settings = {khaos = khaos, merchant_key = "fellside", page_size = 3,
                calls_per_minute = number("CALLS", 100000), quota_left_percent = number("QUOTA", 0),
                ean_field = "other_ref", exceptions_max = 8, with = var("WITH", ""),
                step_rows = 7, ask_batch = 4, not_for_web = {"FEE-*", "ROUNDING", "GIFT-WRAP", "FO-EMB-NAME", "LW-*"},
                create = {mode = var("CREATE", "off")},
                mapping = (function(products)
                    products.approve = {"RULE-"}
                    return products
                end)(require("mappings.products"))}},
"""
shop = neap.Shop(variables={"MIRROR_MS": "300"})
shop.edit("client.lua", "    flows = {\n", FLOW)


def in_khaos(code, **words):
    shop.control("khaos", "POST", "stock", {"code": code, **words})


def in_scayle(*products, remove=()):
    shop.control("scayle", "POST", "products", {"products": list(products), "remove": list(remove)})


def product(key, *variants, state="live"):
    return {"key": key, "state": state, "variants": list(variants)}


def report(*words):
    return shop.host.ask("products", *words)


def found(*words):
    """{kind: sorted codes} of the newest comparison."""
    kinds = {}
    for finding in report(*words)["findings"]:
        kinds.setdefault(finding["kind"], []).append(finding["sku"])
    return {kind: sorted(codes) for kind, codes in kinds.items()}


def begin():
    code, text = shop.host.verb("products", "--check", "--who", "eve")
    assert code == 0, text
    return report().get("completed")


def ended(before):
    neap.until(lambda: report().get("completed") not in (None, before) and not report()["under_way"],
               "the comparison ends")


def compare():
    before = begin()
    ended(before)
    return found()


def causes(cause="unknown_stock_code"):
    return {e["subject"]: e for e in shop.host.exceptions(cause)}


def agree():
    assert shop.host.verb("products")[0] == 0
    neap.until(lambda: "products flow that has run" not in shop.host.verb("products", "--check", "--dry-run")[1],
               "the flow runs")
    kinds = compare()
    assert kinds == {}, kinds
    document = report()
    assert document["variants"] == 10 and document["stock_codes"] > 20, document
    assert not shop.host.exceptions(), shop.host.exceptions()


def differences():
    in_khaos("TS-RED-L", other_ref="5000000000017")
    in_khaos("TS-RED-S")
    in_khaos("a/b c\u00fc")
    in_khaos("Twice")
    in_khaos("TWICE ")
    in_scayle(product("TS", {"sku": "TS-RED-L", "ean": "5000000000024"}, {"sku": "ts-red-s "}, {"sku": "TS-RED-XL"},
                      {"ean": "5000000000031"}),
              product("DRAFT", {"sku": "a/b c\u00fc"}, state="draft"), product("OLD", {"sku": "FO-OLD-0001"}),
              product("TWO", {"sku": "Twice"}, {"sku": "Twice"}), product("SLIP", {"sku": "FO-CAP-O311"}),
              product("THEIRS", {"sku": "NOT-OURS", "merchants": ["another"]}))
    shop.control("khaos", "POST", "stock", {"code": "FO-WEB-NEW"})
    neap.until(lambda: "TWICE " in [i["code"] for i in shop.control("khaos", "GET", "stock")["items"]], "Khaos has them")
    mirrored()
    kinds = compare()
    assert kinds == {"ean_differs": ["TS-RED-L"], "spelling": ["ts-red-s "], "missing_in_khaos": ["FO-CAP-O311", "TS-RED-XL"],
                     "no_code": [""], "not_live": ["a/b c\u00fc"], "discontinued": ["FO-OLD-0001"],
                     "duplicate_in_scayle": ["Twice"], "duplicate_in_khaos": ["TWICE "],
                     "missing_in_scayle": ["FO-WEB-NEW"]}, kinds
    near = {f["sku"]: f.get("did_you_mean") for f in report("--kind", "spelling")["findings"]}
    assert near == {"ts-red-s ": "TS-RED-S"}, near


def mirrored():
    """The mirror has asked twice, whatever it was doing."""
    calls = len(stock_lists())
    neap.until(lambda: len(stock_lists()) >= calls + 5, "the mirror follows")


def stock_lists():
    return shop.calls("khaos", "GetStockList")


def told():
    open_ = causes()
    assert sorted(open_) == ["FO-CAP-O311", "FO-OLD-0001", "TS-RED-XL", "ts-red-s "], sorted(open_)
    assert "did you mean TS-RED-S?" in open_["ts-red-s "]["message"], open_["ts-red-s "]
    assert "did you mean FO-CAP-0311?" in open_["FO-CAP-O311"]["message"], open_["FO-CAP-O311"]
    assert "did you mean" not in open_["TS-RED-XL"]["message"], "another size is no slip"
    assert open_["TS-RED-XL"]["owner"] == "merchandising", open_["TS-RED-XL"]
    assert len(causes("variant_without_code")) == 1
    subjects = sorted(causes("catalogues_differ"))
    assert subjects == ["EAN", "duplicates in Khaos", "duplicates in SCAYLE", "missing in SCAYLE"], subjects


def an_order_joins():
    document = shop.document(shop.place("plain", seed=5))
    document.pop("id")
    document["items"][0]["variant"]["referenceKey"] = "TS-RED-XL"
    order = shop.place_document(document)
    neap.until(lambda: causes()["TS-RED-XL"]["waiting"] == 1, "the order waits on the same exception")
    assert len(shop.host.exceptions("unknown_stock_code")) == 4
    in_khaos("TS-RED-XL", level=5)
    neap.until(lambda: "TS-RED-XL" not in causes(), "the mirror closes it")
    neap.until(lambda: shop.posted(order), "the order goes on")


def new_codes():
    """A code that came is looked at without a comparison: an existing variant is no difference any more."""
    before = report()["completed"]
    neap.until(lambda: "TS-RED-XL" not in found().get("missing_in_khaos", []), "the finding goes")
    in_khaos("FO-WEB-LATE")
    neap.until(lambda: "FO-WEB-LATE" in found().get("missing_in_scayle", []), "a new code without a variant is found")
    assert report()["completed"] == before


def mended():
    in_scayle(product("TS", {"sku": "TS-RED-S"}), remove=["ts-red-s ", "FO-CAP-O311", "FO-OLD-0001"])
    kinds = compare()
    assert "spelling" not in kinds and "discontinued" not in kinds and "missing_in_khaos" not in kinds, kinds
    assert not causes(), causes()


def many():
    """A storm is one exception; a comparison that finds few tells them one by one."""
    in_scayle(product("STORM", *[{"sku": f"ST-{n:03}"} for n in range(40)]))
    compare()
    assert not causes(), sorted(causes())
    storm = causes("catalogues_differ")["variants without a stock code"]
    assert storm["message"].startswith("41 variants") and "ST-000" in storm["message"], storm
    in_scayle(remove=[f"ST-{n:03}" for n in range(38)])
    compare()
    assert sorted(causes()) == ["ST-038", "ST-039"], sorted(causes())
    assert "variants without a stock code" not in causes("catalogues_differ")
    in_scayle(remove=["ST-038", "ST-039"])
    compare()
    assert not causes(), sorted(causes())


def pages():
    return shop.calls("scayle", "list_products")


def killed():
    """Killed again and again: no page is read twice but one that was on its way, and the result is the same."""
    in_scayle(*[product(f"K-{n}", {"sku": f"KILL-{n}"}) for n in range(60)])
    kinds = compare()
    total = len(report()["findings"])
    read = len(pages())
    compare()
    once = len(pages()) - read
    read = len(pages())
    before = begin()
    kills = 0
    while report().get("completed") == before and kills < 40:
        time.sleep(0.15)
        shop.host.kill()
        shop.host.start()
        kills += 1
    ended(before)
    print(f"# killed {kills} times")
    again = len(pages()) - read
    assert kills > 1 and once > 20, (kills, once)
    assert once <= again <= once + kills, (once, again, kills)
    assert found() == kinds and len(report()["findings"]) == total
    in_scayle(remove=[f"KILL-{n}" for n in range(60)])


def refused():
    """What SCAYLE does not answer is asked for again."""
    shop.faults("scayle", {"operation": "list_products", "probability": 0.2, "fault": "500", "times": 1000})
    kinds = compare()
    shop.faults("scayle")
    assert "missing_in_khaos" not in kinds, kinds
    assert not causes(), causes()


def words():
    assert shop.host.verb("products", "--check", "TS-RED-L")[0] == 2
    assert shop.host.verb("products", "--kind", "nonsense")[0] != 0
    assert report("TS-RED-L")["findings"][0]["kind"] == "ean_differs"
    path = os.path.join(shop.folder, "products.csv")
    shop.host.verb("products", "--csv", path)
    with open(path, encoding="utf-8") as f:
        assert "duplicate_in_scayle,Twice" in f.read()
    shop.host.stop()
    assert shop.host.verb("products", "--check")[0] == 4
    assert report("TS-RED-L")["findings"][0]["scayle_ean"] == "5000000000024"


def needs_with():
    """A list without variants is not a catalogue without variants."""
    shop.host.start()
    shop.control("scayle", "POST", "settings", {"variants_need_with": True})
    before = len(report()["findings"])
    begin()
    neap.until(lambda: causes("products_unreadable"), "it says so")
    neap.until(lambda: not report()["under_way"], "it ends")
    assert len(report()["findings"]) == before and not causes()
    shop.host.stop()
    shop.host.variables["WITH"] = "variants"
    shop.host.start()
    compare()
    assert not causes("products_unreadable")


# ---- creation --------------------------------------------------------------------------------


def restart(**variables):
    shop.host.stop()
    shop.host.variables.update(variables)
    shop.host.start()


def item(code, parent, **words):
    in_khaos(code, **{"parent": parent, "sell_price": "25.00", "user": {"Price EUR": "29.95"}, **words})


def created():
    view = shop.control("scayle", "GET", "products")
    return {v["sku"]: v for v in view["created"]}, view["copies"]


def incomplete(code):
    return neap.until(lambda: causes("variant_incomplete").get(code), f"{code} is incomplete")


def held_back():
    """What is missing is said, all at once and where to enter it; entered, it goes on."""
    shop.control("scayle", "POST", "settings", {"variants_need_with": False})
    in_scayle(product("LIVEP"), remove=["TS-RED-XL"])
    item("NP-1", "NEWP", other_ref="5000000000012")
    item("NP-2", "NEWP", other_ref="5000000000018", user={})
    item("NP-4", "LIVEP")
    item("NP-5", "")
    in_khaos("NP-HIDDEN", web=False)
    mirrored()
    restart(CREATE="propose")
    kinds = compare()
    assert "NP-HIDDEN" not in kinds["missing_in_scayle"], kinds
    assert "create the product in SCAYLE as a draft, with reference key NEWP" in incomplete("NP-1")["message"]
    message = incomplete("NP-2")["message"]
    assert "is no EAN" in message and '"Price EUR" in Khaos (the price for DE in EUR)' in message, message
    assert "product LIVEP is live" in incomplete("NP-4")["message"]
    assert "enter the parent stock code in Khaos" in incomplete("NP-5")["message"]
    assert created()[0] == {}
    in_scayle(product("NEWP", state="draft"))
    compare()
    neap.until(lambda: "NP-1" in causes("variant_proposal"), "it is proposed")
    neap.until(lambda: "NP-2" in causes("variant_incomplete"), "it is held again")


def approved():
    """Only a release creates it, exactly so; a dismissal never does."""
    item("NP-3", "NEWP")
    item("RULE-1", "NEWP", price_is_net=True, sell_price="20.8333")
    mirrored()
    neap.until(lambda: "NP-3" in causes("variant_proposal"), "a new code is proposed without a comparison")
    neap.until(lambda: "RULE-1" in created()[0], "what a rule approves is created")
    assert set(created()[0]) == {"RULE-1"}, created()
    message = causes("variant_proposal")["NP-1"]["message"]
    assert "in product NEWP, EAN 5000000000012, GB 25.00 GBP with 20% tax, DE 29.95 EUR with 19% tax" in message, message
    shop.host.verb("exceptions", "dismiss", "variant_proposal", "NP-3", "--who", "eve", "--reason", "not for us")
    code, text = shop.host.verb("exceptions", "release", "variant_proposal", "NP-1", "--who", "eve", "--reason", "fine")
    assert code == 0, text
    neap.until(lambda: "NP-1" in created()[0], "it is created")
    assert created()[0]["NP-1"] == {"sku": "NP-1", "product": "NEWP", "ean": "5000000000012", "state": "draft", "prices": [
        {"price": 2500, "currencyCode": "GBP", "countryCode": "GB", "tax": 20},
        {"price": 2995, "currencyCode": "EUR", "countryCode": "DE", "tax": 19}]}, created()[0]["NP-1"]
    assert created()[0]["RULE-1"]["prices"][0]["price"] == 2500, created()[0]["RULE-1"]
    kinds = compare()
    assert "NP-1" not in kinds["missing_in_scayle"], kinds
    assert "NP-3" not in created()[0] and "NP-3" not in causes("variant_proposal")


def twins():
    """A code that is another one spelt otherwise gets no variant of its own before a person has said so."""
    for code in ("np-1", "TW-1", "tw-1", "RULE--1"):
        item(code, "NEWP")
    mirrored()
    kinds = compare()
    assert "np-1" not in kinds["missing_in_scayle"] and "TW-1" in kinds["missing_in_scayle"], kinds
    assert 'Khaos has a stock code "tw-1"' in incomplete("TW-1")["message"]
    assert 'Khaos has a stock code "TW-1"' in incomplete("tw-1")["message"]
    neap.until(lambda: "RULE--1" in causes("variant_proposal"), "no rule approves what is spelt alike")
    assert 'SCAYLE has a variant "RULE-1", which is spelt alike' in causes("variant_proposal")["RULE--1"]["message"]
    assert not {"np-1", "TW-1", "tw-1", "RULE--1"} & set(created()[0]), created()[0]


def by_hand():
    """What somebody created meanwhile is not created again, and its exceptions close."""
    in_scayle(product("LIVEP", {"sku": "NP-4"}))
    compare()
    neap.until(lambda: "NP-4" not in causes("variant_incomplete"), "it closes")
    assert "NP-4" not in created()[0]


def release(subject):
    code, text = shop.host.verb("exceptions", "release", "variant_proposal", subject, "--who", "eve", "--reason", "fine")
    assert code == 0, text


def unseen():
    """A release approves what was shown, whatever came in between: the old number was given again, at another price."""
    item("NP-7", "NEWP", other_ref="5000000000012")
    mirrored()
    neap.until(lambda: "NP-7" in causes("variant_proposal"), "it is proposed")
    item("NP-7", "NEWP", other_ref="5000000000018")  # spoilt
    mirrored()
    release("NP-7")
    incomplete("NP-7")
    item("NP-7", "NEWP", other_ref="5000000000012", sell_price="99.00")
    mirrored()
    compare()
    neap.until(lambda: "NP-7 v2" in causes("variant_proposal"), "the new price is proposed")
    assert "NP-7" not in created()[0], created()[0]["NP-7"]
    release("NP-7 v2")
    neap.until(lambda: "NP-7" in created()[0], "it is created")
    assert created()[0]["NP-7"]["prices"][0]["price"] == 9900, created()[0]["NP-7"]


def gone_again():
    """Taken out in SCAYLE it is proposed anew, and the release sends it: nothing was sent, and the flow said "created"."""
    compare()
    in_scayle(remove=["NP-7"])
    compare()
    neap.until(lambda: "NP-7 v3" in causes("variant_proposal"), "it is proposed again")
    before = len(shop.calls("scayle", "create_variant"))
    release("NP-7 v3")
    neap.until(lambda: len(shop.calls("scayle", "create_variant")) == before + 1, "it is sent again")
    kinds = compare()
    assert "NP-7" not in kinds["missing_in_scayle"], kinds


def once():
    """Killed while variants are created, answers lost, SCAYLE's own protection off: one variant per code."""
    shop.control("scayle", "POST", "settings", {"variant_keys_unique": False})
    shop.faults("scayle", {"operation": "create_variant", "probability": 0.3, "fault": "reset_after", "times": 1000},
                {"operation": "create_variant", "probability": 0.2, "fault": "500", "times": 1000})
    restart(CREATE="draft")
    names = [f"ONCE-{n}" for n in range(20)]
    for name in names:
        item(name, "NEWP")
    begin()
    kills = 0
    while not set(names) <= set(created()[0]) and kills < 60:
        time.sleep(0.2)
        shop.host.kill()
        shop.host.start()
        kills += 1
    neap.until(lambda: set(names) <= set(created()[0]), "all are created")
    neap.until(lambda: not report()["under_way"], "the comparison ends")
    compare()
    print(f"# killed {kills} times")
    copies = created()[1]
    assert all(copies[name] == 1 for name in names), {n: copies[n] for n in names if copies[n] != 1}
    assert kills > 2, kills
    shop.faults("scayle")


shop.start()
try:
    neap.case("catalogues that agree: nothing is told", agree)
    neap.case("every kind of difference is found, strange codes and all", differences)
    neap.case("variants without a stock code are exceptions, with what was perhaps meant", told)
    neap.case("an order joins the same exception, and the code's proof frees it", an_order_joins)
    neap.case("new codes of Khaos are looked at between comparisons", new_codes)
    neap.case("what was mended closes with the next comparison", mended)
    neap.case("thousands are one exception, not a storm", many)
    neap.case("kill -9 in the middle: the comparison goes on and ends right", killed)
    neap.case("errors of SCAYLE end with the right comparison", refused)
    neap.case("acts need the running host, the result does not", words)
    neap.case("products listed without their variants are noticed", needs_with)
    neap.case("what a new variant lacks is said, and it goes on when that is entered", held_back)
    neap.case("a person or a rule approves exactly what is created, in a draft", approved)
    neap.case("one code typed twice is no second variant", twins)
    neap.case("a variant that somebody created is not created again", by_hand)
    neap.case("a release approves what was shown and nothing that came after it", unseen)
    neap.case("a variant that SCAYLE lost is proposed and sent once more", gone_again)
    neap.case("kill -9 and lost answers: one variant per code", once)
finally:
    shop.stop()
neap.done()
