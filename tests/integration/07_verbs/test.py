"""The verbs against a running host, a stopped one and none: answers, JSON, exit codes."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import neap  # noqa: E402

VERBS = ("demo", "new", "run", "check", "test", "order", "exceptions", "status", "pause", "resume", "erase", "verify",
         "version", "help")
OK, WRONG, USAGE, NOT_FOUND, UNREACHABLE = 0, 1, 2, 3, 4

shop = neap.Shop(variables={"SWEEP_MS": "600000", "MIRROR_MS": "600000"})
placed = {}


def expect(code, *words):
    got, text = shop.host.verb(*words)
    assert got == code, f"neap {' '.join(words)}: {got} instead of {code}: {text[:500]}"
    return text


def as_json(code, *words):
    return json.loads(expect(code, *words, "--json"))


def helps():
    for verb in VERBS:
        for words in ((verb, "--help"), ("help", verb)):
            code, text = neap.run(*words)
            assert code == OK and text.startswith(f"{verb}: ") and "exit codes" in text, (words, code, text)
            assert "--json" in text, words
    for words in ((), ("help",), ("--help",), ("-h",)):
        code, text = neap.run(*words)
        assert code == OK and all(f"  {verb} " in text for verb in VERBS), (words, text)


def command_lines():
    for words in (("nothing",), ("status", "--nothing"), ("run", "--listen"), ("order", "1", "--data"),
                  ("version", "--json=1"), ("run", "--drain-ms", "soon", "--client", shop.folder)):
        code, text = neap.run(*words)
        assert code == USAGE, (words, code, text)
    code, text = neap.run("help", "nothing")
    assert code == NOT_FOUND, (code, text)
    assert neap.run("run")[0] == USAGE
    code, text = neap.run("run", "--client", "/nowhere", "--data", neap.new_folder())
    assert code not in (OK, USAGE) and "/nowhere" in text, (code, text)


def versions():
    code, text = neap.run("version")
    assert code == OK and text.startswith("neap "), text
    code, text = neap.run("version", "--json")
    assert code == OK and set(json.loads(text)) >= {"neap", "libcurl", "libevent", "lmdb"}, text
    assert neap.run("--version")[0] == OK


def reading():
    """The same on a running host and on the data of a stopped one."""
    good, held = placed["good"], placed["held"]
    posted = shop.posted(good) if shop.scayle.process.poll() is None else placed["posted"]
    placed["posted"] = posted
    key = f"order:fo:{good['order_id']}"
    for ref in (good["order_id"], key, posted["code"], f"SC{good['order_id']}"):
        found = as_json(OK, "order", str(ref))
        assert found["key"] == key and found["links"]["khaos_order"] == posted["code"], (ref, found)
        assert found["facts"]["amount"] == {"minor": good["total_minor"], "currency": "GBP"}, found["facts"]
        assert found["trail"]["lines"] and found["timeline"], found
    text = expect(OK, "order", str(good["order_id"]))
    for words in (key, "despatch promise", "penny trail", "timeline", posted["code"]):
        assert words in text, (words, text)
    text = expect(OK, "order", str(held["order_id"]))
    assert "held on unmapped_payment" in text, text
    expect(NOT_FOUND, "order", "999999")
    expect(USAGE, "order")
    listed = as_json(WRONG, "exceptions")
    assert [(e["cause"], e["waiting"]) for e in listed] == [("unmapped_payment", 1)], listed
    assert listed[0]["amount_minor"] == held["total_minor"] and listed[0]["remedy"] and listed[0]["owner"], listed
    subject = listed[0]["subject"]
    shown = as_json(OK, "exceptions", "show", "unmapped_payment", subject)
    assert shown["waiting"][0]["key"] == f"order:fo:{held['order_id']}", shown
    plain, spoken = (re.sub(r"\d+", "N", expect(WRONG, *words)) for words in (("exceptions",), ("exceptions", "ls")))
    assert "unmapped_payment" in plain == spoken, (plain, spoken)  # but for their ages: a second may pass between
    assert as_json(OK, "exceptions", "ls", "unmapped_tax") == []
    expect(NOT_FOUND, "exceptions", "show", "unmapped_tax", "x")
    expect(USAGE, "exceptions", "show")
    expect(USAGE, "exceptions", "mend")
    status = as_json(WRONG, "status")[0]
    assert status["client"] == "demo" and status["jobs"]["held"] == 1 and status["exceptions"] == 1, status
    assert "demo: amber, 1 open exception" in expect(WRONG, "status")
    assert as_json(OK, "status", "--client", "nobody") == []
    whole = as_json(OK, "verify")
    assert [c["client"] for c in whole] == ["demo"] and whole[0]["records"] > 50, whole
    assert whole[0]["problems"] == whole[0]["broken"] == 0 and whole[0]["found"] == [], whole
    assert " 0 problems" in expect(OK, "verify", "--client", "demo")
    expect(NOT_FOUND, "verify", "--client", "nobody")
    return subject


def running():
    placed["good"] = shop.place("multi_unit", seed=3)
    placed["held"] = shop.place("unmapped_payment", seed=4)
    shop.until_right(placed["good"])
    shop.until_held(placed["held"], "unmapped_payment")
    reading()


def pausing():
    expect(OK, "pause", "flow", "orders", "--reason", "stocktaking", "--who", "ann")
    assert as_json(WRONG, "status")[0]["paused"] == [
        {"kind": "flow", "name": "orders", "who": "ann", "reason": "stocktaking"}]
    order = shop.place("guest", seed=5)
    neap.until(lambda: shop.entry(order).get("accepted"), "a paused flow accepts")
    assert "paused: flow orders by ann: stocktaking" in expect(WRONG, "status")
    shop.host.kill()
    shop.host.start()
    assert as_json(WRONG, "status")[0]["paused"], "a pause does not survive"
    assert shop.posted(order) is None
    expect(OK, "resume", "flow", "orders")
    shop.until_right(order)
    expect(NOT_FOUND, "resume", "flow", "orders")
    expect(OK, "pause", "connection", "khaos", "--reason", "moving house")
    order = shop.place("guest", seed=6)
    neap.until(lambda: shop.entry(order).get("accepted"), "it is accepted")
    neap.until(lambda: shop.job(order) and shop.job(order)["state"] == "waiting", "it waits for the connection")
    assert shop.posted(order) is None
    expect(OK, "resume", "connection", "khaos")
    shop.until_right(order)
    for words in (("pause",), ("pause", "flow"), ("pause", "house", "orders"), ("resume",)):
        expect(USAGE, *words)


def probing():
    address = f"127.0.0.1:{shop.host.port}"
    assert neap.run("run", "--probe", address)[0] == OK
    free = neap.free_port()
    for words in (f"127.0.0.1:{free}", "nonsense", "127.0.0.1:notaport"):
        code, text = neap.run("run", "--probe", words)
        assert code == UNREACHABLE and words in text, (words, code, text)


def stopped():
    subject = shop.host.exceptions()[0]["subject"]
    assert shop.host.stop() == 0
    reading()
    for words in (("pause", "flow", "orders"), ("resume", "flow", "orders"),
                  ("exceptions", "release", "unmapped_payment", subject, "--reason", "x"),
                  ("exceptions", "retry", "unmapped_payment", subject, "--reason", "x"),
                  ("exceptions", "dismiss", "unmapped_payment", subject, "--reason", "x")):
        expect(UNREACHABLE, *words)
    assert neap.run("run", "--probe", f"127.0.0.1:{shop.host.port}")[0] == UNREACHABLE


def nowhere():
    for verb in (("status",), ("order", "1"), ("exceptions",), ("verify",), ("pause", "flow", "orders")):
        code, text = neap.run(*verb, "--data", "/nowhere/at/all")
        assert code == UNREACHABLE, (verb, code, text)
        assert not os.path.exists("/nowhere")


def two_clients():
    """With several clients on one host, a verb asks which when it must."""
    data = os.path.join(shop.scayle.folder, "data")
    code, text = neap.run("status", "--data", data, "--json")
    assert {c["client"] for c in json.loads(text)} == {"scayle", "khaos"}, text
    code, text = neap.run("pause", "flow", "shop", "--data", data)
    assert code == USAGE and "--client" in text, (code, text)
    code, text = neap.run("pause", "flow", "webhook", "--client", "scayle", "--data", data, "--dry-run")
    assert code == OK and "would" in text, (code, text)


def two_lines(folder):
    """A flow that is given no Khaos of its own calls an on-premise one, whatever the others do."""
    path = os.path.join(folder, "client.lua")
    with open(path, encoding="utf-8") as f:
        manifest = f.read()
    mixed = manifest.replace('despatch_flow = "despatch",', 'despatch_flow = "despatch", khaos = {kind = "cloud"},', 1)
    assert mixed != manifest
    with open(path, "w", encoding="utf-8") as f:
        f.write(mixed)
    code, text = neap.run("check", folder)
    assert 'is set for a Khaos of kind "soap", the orders go to one of kind "cloud"' in text, (code, text)
    with open(path, "w", encoding="utf-8") as f:
        f.write(manifest)


def new_client():
    folder = os.path.join(neap.new_folder(), "acme")
    code, text = neap.run("new", folder)
    assert code == OK, text
    assert neap.run("new", folder)[0] != OK, "an existing folder was written over"
    code, text = neap.run("check", folder)
    assert code == OK, text
    code, text = neap.run("check", folder, "--json")
    json.loads(text)
    code, text = neap.run("test", folder)
    assert code == OK, text
    two_lines(folder)
    with open(os.path.join(folder, "client.lua"), "a", encoding="utf-8") as f:
        f.write("\nthis is no Lua")
    code, text = neap.run("check", folder)
    assert code == WRONG and "client.lua:" in text, (code, text)
    assert neap.run("check", "/nowhere")[0] in (WRONG, NOT_FOUND)
    assert neap.run("check")[0] == USAGE


try:
    neap.case("every verb has its help", helps)
    neap.case("wrong command lines get exit code 2", command_lines)
    neap.case("the version is told, with libraries as JSON", versions)
    neap.case("a folder without data is not reachable and is not made", nowhere)
    shop.start()
    neap.case("order, exceptions and status tell of a running host", running)
    neap.case("a pause of a flow or a connection is durable and loses nothing", pausing)
    neap.case("the probe tells whether a host is healthy", probing)
    neap.case("with two clients a verb asks which", two_clients)
    neap.case("reading works on the data of a stopped host, acting says that it cannot", stopped)
    neap.case("new, check and test know a good client from a broken one", new_client)
finally:
    shop.stop()
neap.done()
