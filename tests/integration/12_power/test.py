"""The power goes while orders flow, syncs fail, and nothing leaves before the sync it depends on.

kill -9 keeps the page cache; here tests/support/shim puts the files back to what was synced, or to that and
a random part of what was not, torn as disks tear. docs/proofs.md says what that shows and what it cannot.
NEAP_CUTS and NEAP_SEED choose how long and which chance.
"""

import errno
import http.client
import json
import math
import os
import shutil
import signal
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import campaign  # noqa: E402
import neap  # noqa: E402
import power  # noqa: E402
import warehouse  # noqa: E402

CUTS = int(os.environ.get("NEAP_CUTS") or "60")
SEED = int(os.environ.get("NEAP_SEED") or "20261128")
ORDERS = max(60, CUTS)
KINDS = ("send", "send", "sync", "write", "any")
LIFE_S = 1.5  # a host whose cut does not come by then meets it at its next call

flow = campaign.Campaign(SEED, variables={"DESPATCH_EVERY_MS": "300", "STOCK_POLL_MS": "400", "STOCK_SEND_MS": "300",
                                          "CANCEL_ADD_ON": "1", "CANCEL_LOOK_MS": "2000",
                                          "RETURNS_SWEEP_MS": "5000"})
flow.host = power.PowerHost(flow.host)
flow.sandbox.variables["SANDBOX_WEBHOOK_PATH"] = "/scayle/webhook"
people = warehouse.Warehouse(flow)
host = flow.host
chance = flow.random
print(f"# seed {SEED}, {CUTS} cuts, {ORDERS} orders; data in {host.folder}")


def some_chance():
    """0: only what was synced is left; else the seed of what else is."""
    return 0 if chance.random() < 0.4 else chance.getrandbits(31) | 1


# ---- The first start ------------------------------------------------------------------------------------------


def is_over(first):
    """It was cut, or it is ready; a torn answer is neither yet."""
    try:
        return first.process.poll() is not None or first.is_ready()
    except (AssertionError, http.client.HTTPException):
        return False


def cut_first_starts():
    """At each call of a first start in turn, both ways: what is left must be a place to start from."""
    count = 0
    is_ready = False
    while not is_ready and count < 100:
        count += 1
        for how in (0, chance.getrandbits(31) | 1):
            first = power.PowerHost(neap.Host(["examples/demo"]))
            first.will_cut("any", count, how)
            first.start(wait=False)
            neap.until(lambda first=first: is_over(first), "ready or cut")
            is_ready = first.process.poll() is None
            first.cut_now()  # never killed: that could be in the middle of a cut
            try:
                first.will_last()
                first.start()
                first.check_report()
            except AssertionError as err:
                raise AssertionError(f"cut before call {count} with chance {how}: {err}") from err
            finally:
                first.kill()
    print(f"# {count - 1} calls until the host is ready")
    assert is_ready and count > 10, count


# ---- Orders ---------------------------------------------------------------------------------------------------


def start():
    host.kill()  # what a case that failed has left
    host.will_last()
    flow.start_host()


def cut_now():
    host.cut_now()
    flow.note_death()


def cut_once():
    cut = int(math.exp(chance.uniform(0, math.log(400))))
    host.will_cut(chance.choice(KINDS), cut, some_chance())
    flow.start_host(wait=False)
    try:
        code = host.wait_end(LIFE_S)
        assert code == -9, f"the host ended with {code}: {host.tail()}"
        flow.note_death()
    except subprocess.TimeoutExpired:
        cut_now()


def cut_while_orders_flow():
    """The second half of the cuts meets parcels, cancellations and returns of what is posted by then."""
    flow.start()
    flow.control("khaos", "POST", "settings", {"paid_add_ons": True})
    flow.control("scayle", "POST", "settings", {"repeat_conflicts": False, "rate_limits": {
        "ordersRead": 1000000, "fulfillmentWrite": 1000000}})
    cut_now()
    flow.play(ORDERS, max(20, CUTS * 300 // ORDERS))
    for number in range(CUTS):
        if number == CUTS // 2:
            start()
            neap.until(flow.has_flowed, "every order is posted or held", 180)
            cut_now()
        for _ in range(3):
            people.act_at_random(chance)
        cut_once()
    start()
    flow.settle()
    points = [line.split()[0] for line in host.report("cut")]
    assert len(points) == CUTS + 2, f"{len(points)} cuts"
    print("# cut at: " + ", ".join(f"{points.count(p)} {p}" for p in ("write", "sync", "name", "send")))


def end_units():
    neap.until(people.ask_again, "every wish to cancel is answered", 120)
    neap.until(lambda: people.clear_desk() and not people.differences(), "SCAYLE shows what Khaos did", 120)
    flow.settle()
    print(f"# done by people: {dict(people.done)}")


def check_order_of_leaving():
    assert host.stop() == 0
    host.check_report()
    counted = host.counted()
    posted = sum(1 for order in flow.expectations() if order["expect"] == "posted")
    print(f"# seen by the shim: {counted}")
    assert counted["answers"] - counted["oks"] >= ORDERS + people.done["want_cancelled"], counted
    assert counted["oks"] >= ORDERS // 2, counted
    assert counted["effects"] >= 2 * posted, (counted, posted)


# ---- Failing calls --------------------------------------------------------------------------------------------


def place(count):
    for _ in range(count):
        flow.place("guest")


def ends_safe(kind, number):
    """The host ends with 5 and says why; the failed bytes are lost, and nothing else is."""
    host.will_fail(kind, number, chance.randint(1, 12))
    flow.start_host(wait=False)
    place(3)
    code = host.wait_end()
    flow.note_death()
    assert code == 5, f"{kind}: the host ended with {code}: {host.tail()}"
    assert "stopping, because state could not be kept safe" in host.tail(), host.tail()
    assert os.strerror(number) in host.tail(), host.tail()
    start()
    flow.settle()
    assert host.stop() == 0
    host.check_report()


def fail_for_good():
    for kind in ("sync", "meta", "write"):
        ends_safe(kind, errno.EIO)
    ends_safe("meta", errno.ENOSPC)


def fail_for_a_while():
    """No space at a write or a sync: 503, the same process goes on, and a power cut afterwards loses nothing."""
    for kind, count in (("write", 12), ("sync", 5)):
        before = len(host.report("failed"))
        host.will_fail(kind, errno.ENOSPC, 1, count)
        flow.start_host(wait=False)
        place(6)
        neap.until(lambda before=before, count=count: len(host.report("failed")) == before + count, "all faults")
        flow.settle()
        assert host.process.poll() is None, host.tail()
        cut_now()
        start()
        flow.settle()
        assert host.stop() == 0
    host.check_report()
    statuses = {attempt.get("status") for entry in flow.control("scayle", "GET", "ledger")["orders"]
                for attempt in entry["attempts"]}
    assert 503 in statuses, statuses


# ---- What lies beside the orders ------------------------------------------------------------------------------


def keep_what_a_person_did():
    start()
    code, text = host.verb("pause", "flow", "orders", "--reason", "stocktaking", "--who", "eve")
    assert code == 0, text
    cut_now()
    start()
    assert [p["name"] for p in host.status()["paused"]] == ["orders"], host.status()


def blame_once():
    """A mark in the crash file that a power cut left there is no job's fault three times."""
    place(1)
    order = neap.until(lambda: host.order(f"order:fo:{flow.expectations()[-1]['order_id']}"), "it is known")
    job = order["jobs"][-1]["id"]
    client_hash = 0xCBF29CE484222325
    for byte in b"demo":
        client_hash = (client_hash ^ byte) * 0x100000001B3 % (1 << 64)
    flow.kill_host()
    with open(os.path.join(host.folder, "data", "running.job"), "r+b") as f:
        f.write(struct.pack("=QQQQ", 0x4E45415043524153, client_hash, job, signal.SIGSEGV))
    for _ in range(3):
        start()
        cut_now()
    start()
    blamed = host.tail(1 << 20).count(f"job {job} was running when the process")
    assert blamed == 1, f"blamed {blamed} times"
    assert host.verb("resume", "flow", "orders", "--reason", "stocktaking", "--who", "eve")[0] == 0
    flow.settle()
    assert host.stop() == 0


def holds(path, text):
    with open(path, "rb") as f:
        return text in f.read()


def everybody():
    """Every order, with the shopper's address."""
    for order in flow.expectations():
        path = f"/scayle/api/admin/v1/shops/fo/countries/GB/orders/{order['order_id']}"
        status, text, _ = flow.sandbox.get(path, headers={"X-Access-Token": "sandbox-token"})
        if status == 200:
            yield order, json.loads(text)["customer"]["email"].encode()


def somebody():
    """Posted orders that nobody cancelled, with the shopper's address."""
    for order, email in everybody():
        if order["expect"] == "posted" and order["order_id"] not in flow.ended_by_people:
            yield order["order_id"], email


def keep_no_doubtful_line():
    """A line of the journal whose sync failed must not be there at the next start, which would take it for kept."""
    host.will_fail("beside", errno.EIO, 1)
    flow.start_host()
    order_id, _ = next(somebody())
    key = host.order(order_id)["key"]
    assert host.verb("erase", str(order_id), "--reason", "asked by letter", "--who", "eve")[0] == 0
    assert host.report("failed")[-1].startswith("beside"), host.report("failed")
    assert "gets the line at the next start" in host.tail(), host.tail()
    journal = os.path.join(host.folder, "data", "demo.erasures")
    assert not holds(journal, key.encode()), "the line is still there"
    assert host.stop() == 0
    start()
    assert holds(journal, key.encode())
    cut_now()
    assert holds(journal, key.encode())
    host.check_report()


def compact_while_orders_flow():
    """The file that a live compaction puts in place is as durable as the one before, and so is what follows."""
    start()
    people = list(somebody())[2:8]
    assert host.verb("erase", str(people[0][0]), "--reason", "asked by letter", "--who", "eve")[0] == 0
    place(3)
    neap.until(lambda: "compacted: nothing erased" in host.tail(20000), "the store is compacted")
    place(3)
    flow.settle()
    cut_now()
    start()
    flow.settle()
    assert [line["kind"] for line in host.order(people[0][0])["timeline"]] == ["erased"]
    assert host.stop() == 0
    host.check_report()


def erase_under(folder, order_id, at, how):
    """The verb on a stopped host's data, cut at this call; returns its exit code."""
    given = {"DATA": folder, "REPORT": folder + ".report", "CUT": f"any {at}", "CHANCE": how, "AT_EXIT": 1}
    return subprocess.run(
        ["env", f"LD_PRELOAD={power.SHIM}", *(f"NEAP_POWER_{name}={value}" for name, value in given.items()),
         neap.BINARY, "erase", str(order_id), "--reason", "asked by letter", "--who", "eve", "--data", folder],
        capture_output=True, timeout=60, check=False).returncode


def erased_or_not(folder, order_id, secret):
    """Starts a host on it; whether the order is erased, which must be wholly so or not at all."""
    aside = neap.Host(["examples/demo"], data=os.path.dirname(folder), variables={
        "SCAYLE_URL": "http://127.0.0.1:1", "KHAOS_URL": "http://127.0.0.1:1"})
    aside.start()
    order = aside.order(order_id)
    assert aside.stop() == 0
    is_erased = [line["kind"] for line in order["timeline"]] == ["erased"]
    assert order["facts"]["amount"], order
    assert is_erased or len(order["timeline"]) > 3, order["timeline"]
    assert holds(folder + "/demo/data.mdb", secret) != is_erased, f"erased: {is_erased}, not so the file"
    journal = folder + "/demo.erasures"
    assert (os.path.exists(journal) and holds(journal, order["key"].encode())) == is_erased
    return is_erased


def erase_under_cuts():
    shoppers = list(somebody())[8:]
    all_emails = [email for _, email in everybody()]
    order_id, secret = next(p for p in shoppers if all_emails.count(p[1]) == 1)
    outcomes = set()
    at = 0
    code = -9
    while code == -9 and at < 200:
        at += 1
        folder = os.path.join(neap.new_folder(), "data")
        shutil.copytree(os.path.join(host.folder, "data"), folder, ignore=shutil.ignore_patterns("*.sock"))
        assert holds(folder + "/demo/data.mdb", secret)
        code = erase_under(folder, order_id, at, 0 if at % 2 else chance.getrandbits(31) | 1)
        outcomes.add(erased_or_not(folder, order_id, secret))
        with open(folder + ".report", encoding="utf-8") as f:
            assert "unseen" not in f.read()
        shutil.rmtree(os.path.dirname(folder))
    # Whole, then cut: the journal has the line before any start could write it again.
    folder = os.path.join(neap.new_folder(), "data")
    shutil.copytree(os.path.join(host.folder, "data"), folder, ignore=shutil.ignore_patterns("*.sock"))
    assert erase_under(folder, order_id, 0, 0) == 0
    journal = folder + "/demo.erasures"
    assert os.path.exists(journal) and holds(journal, f"order:fo:{order_id}".encode()), "no line in the journal"
    print(f"# {at - 1} calls in an erasure with its compaction")
    assert code == 0 and outcomes == {True, False}, (code, outcomes)


try:
    neap.case("a power cut at any call of a first start leaves a place to start from", cut_first_starts)
    neap.case(f"{CUTS} power cuts with orders flowing and faults on: all orders end", cut_while_orders_flow)
    neap.case("all parcels, cancellations and returns end", end_units)
    neap.case("every unit is in SCAYLE what Khaos and the shop made of it", people.check_units)
    neap.case("every parcel, cancelled and returned unit was told once", people.check_told_once)
    neap.case("every wish to cancel was answered with the truth", people.check_answers)
    neap.case("the shop sells what Khaos has, less what is held", people.check_stock)
    neap.case("no answer or effect left before its state was durable", check_order_of_leaving)
    neap.case("a failed sync or root page ends the host with 5, is not tried again, and loses nothing", fail_for_good)
    neap.case("no space at a write or a sync is answered 503 and survived", fail_for_a_while)
    neap.case("what a person was told is done stays done", keep_what_a_person_did)
    neap.case("an old mark in the crash file blames a job once", blame_once)
    neap.case("a line of the erasures whose sync failed is written again", keep_no_doubtful_line)
    neap.case("a compaction while orders flow is durable", compact_while_orders_flow)
    neap.case("an erasure cut at any call is whole or did not happen, and its bytes are gone", erase_under_cuts)
    start()
    flow.check()
finally:
    flow.stop()
neap.done()
